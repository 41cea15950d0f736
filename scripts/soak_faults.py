"""The faults that `scripts/soak` injects into a home under load, one after the other. A seed decides the order.

Each fault draws the same number of random values in every case, so that a seed determines the order of the faults. Whatever is
stopped, limited or locked is released after a short time. Only processes of the home are signalled.
"""

import os
import resource
import shutil
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

# How often each fault is drawn, relative to the others.
WEIGHTS = {
    "kill_supervisor": 16,
    "kill_monitor": 10,
    "stop_supervisor": 10,
    "stop_monitor": 6,
    "remove_directory": 8,
    "remove_lock": 8,
    "plant_in_inbox": 4,
    "plant_in_job": 4,
    "exhaust_descriptors": 5,
    "lock_ledger": 2,
    "copy_ledger": 4,
    "restore_ledger": 2,
    "delete_ledger": 2,
    "rename_home": 2,
}

MONITORS = (b"monitor", b"__monitor")
LEDGER = ("ledger.db", "ledger.db-wal", "ledger.db-shm")


class Faults:
    """Injects faults into a home and stores which outcomes they explain."""

    def __init__(self, home, launches):
        self.home = home
        self.launches = launches
        self.done = Counter()
        # Jobs whose supervisor was killed: they may be lost. Jobs whose directory was removed: they may be unknown.
        self.killed = set()
        self.removed = set()
        # Jobs whose directory contains a foreign file: they may not start.
        self.planted = set()
        self.undoes = []
        self.copy = home.parent / "older-ledger.db"

    def next(self, rng):
        """Draws a fault: the pause before it, its name, and three numbers that decide its details."""
        chosen = os.environ.get("SOAK_FAULTS", ",".join(WEIGHTS)).split(",")
        name = rng.choices(chosen, [WEIGHTS[name] for name in chosen])[0]
        return rng.random() * 0.2, name, [rng.random() for _ in range(3)]

    def do(self, name, dice):
        """Injects a fault, if it has a target."""
        self.undo()
        if getattr(self, name)(*dice):
            self.done[name] += 1

    def undo(self, everything=False):
        """Undoes the temporary faults that are due."""
        now = time.monotonic()
        due = [undo for at, undo in self.undoes if everything or at <= now]
        self.undoes = [(at, undo) for at, undo in self.undoes if not everything and at > now]
        for undo in due:
            undo()

    def later(self, seconds, undo):
        self.undoes.append((time.monotonic() + seconds, undo))

    # ---- processes

    def kill_supervisor(self, which, *_):
        pid, job = pick(supervisors(self.home), which) or (None, None)
        if pid is None:
            return False
        # Stored first: the job may be recovered at once.
        self.killed.add(job)
        return send(pid, self.home, signal.SIGKILL)

    def kill_monitor(self, which, *_):
        pid = pick(list(processes(self.home, *MONITORS)), which)
        return pid is not None and send(pid, self.home, signal.SIGKILL)

    def stop_supervisor(self, which, how_long, _):
        pid, _ = pick(supervisors(self.home), which) or (None, None)
        return pid is not None and self.stop(pid, 0.05 + how_long)

    def stop_monitor(self, which, how_long, _):
        pid = pick(list(processes(self.home, *MONITORS)), which)
        return pid is not None and self.stop(pid, 0.05 + 2 * how_long)

    def stop(self, pid, seconds):
        self.later(seconds, lambda: send(pid, self.home, signal.SIGCONT))
        return send(pid, self.home, signal.SIGSTOP)

    def exhaust_descriptors(self, which, how_long, whom):
        """Keeps a monitor, or sometimes a supervisor, from opening files for a while."""
        pids = [pid for pid, _ in supervisors(self.home)] if whom < 0.3 else list(processes(self.home, *MONITORS))
        pid = pick(pids, which)
        if pid is None:
            return False
        try:
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            if before[0] == 0:
                return False
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))
        except (OSError, ValueError):
            return False

        def restore():
            if belongs(pid, self.home):
                try:
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
                except OSError:
                    pass

        self.later(0.05 + how_long, restore)
        return True

    # ---- files of a job

    def remove_directory(self, which, how, _):
        """Removes the directory of a running job, or renames it and removes it later."""
        _, job = pick(supervisors(self.home), which) or (None, None)
        directory = self.home / "jobs" / str(job)
        if job is None:
            return False
        self.removed.add(job)
        if how < 0.7:
            shutil.rmtree(directory, ignore_errors=True)
            return True
        away = self.home.parent / f"away-{job}"
        try:
            directory.rename(away)
        except OSError:
            return False
        # Removed later again: a job that writes creates files during the removal.
        self.later(0.5, lambda: shutil.rmtree(away, ignore_errors=True))
        return True

    def remove_lock(self, which, *_):
        _, job = pick(supervisors(self.home), which) or (None, None)
        return job is not None and unlink(self.home / "jobs" / job / "lock")

    def plant_in_job(self, which, what, where):
        """Creates something other than a regular file under the name of a job's file."""
        _, job = pick(supervisors(self.home), which) or (None, None)
        if job is None:
            return False
        self.planted.add(job)
        name = ("output.log", "output.tail", "lock", "foreign")[int(where * 4)]
        path = self.home / "jobs" / job / name
        if name == "lock":
            unlink(path)
        return self.plant(path, what)

    def plant_in_inbox(self, which, what, where):
        """Creates a foreign entry in the inbox: under the id of a running job, an unknown id, or a name that is not an id."""
        _, job = pick(supervisors(self.home), which) or (None, None)
        names = (job, f"{int(which * 16**12):012x}", "foreign")
        name = names[int(where * 3)]
        return name is not None and self.plant(self.home / "inbox" / name, what)

    def plant(self, path, what):
        try:
            if what < 0.5:
                os.mkfifo(path, 0o600)
            elif what < 0.9:
                path.mkdir(mode=0o700)
            else:
                path.symlink_to("/dev/null")
        except OSError:
            return False
        return True

    # ---- the ledger and the home

    def lock_ledger(self, how_long, *_):
        """Holds the write lock of the ledger."""
        try:
            ledger = sqlite3.connect(self.home / "ledger.db", timeout=0, check_same_thread=False, isolation_level=None)
            ledger.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return False
        self.later(0.2 + 3 * how_long, ledger.close)
        return True

    def copy_ledger(self, *_):
        """Copies the ledger, to restore the copy later."""
        try:
            source = sqlite3.connect(f"file:{self.home}/ledger.db?mode=ro", uri=True, timeout=0)
            copy = sqlite3.connect(self.copy)
            source.backup(copy)
            copy.close()
            source.close()
        except sqlite3.Error:
            return False
        return True

    def restore_ledger(self, *_):
        """Replaces the ledger by the older copy, as a backup program does."""
        if not self.copy.exists():
            return False
        new = self.home.parent / "restored-ledger.db"
        shutil.copyfile(self.copy, new)
        new.chmod(0o600)
        for name in LEDGER[1:]:
            unlink(self.home / name)
        new.rename(self.home / LEDGER[0])
        return True

    def delete_ledger(self, *_):
        return any([unlink(self.home / name) for name in LEDGER])

    def rename_home(self, how_long, *_):
        """Renames the home for a moment. Launches are paused, because a launch would create a new home."""
        with self.launches.paused():
            self.undo(everything=True)
            away = self.home.parent / "renamed-home"
            self.home.rename(away)
            time.sleep(0.02 + 0.2 * how_long)
            if self.home.exists():
                self.home.rename(self.home.parent / f"new-home-{self.done['rename_home']}")
            away.rename(self.home)
        return True


def pick(things, which):
    """The element at this fraction of a list; `None` if the list is empty."""
    return things[int(which * len(things))] if things else None


def unlink(path):
    try:
        path.unlink()
        return True
    except OSError:
        return False


def environment_of(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def belongs(pid, home):
    return b"HOMING_HOME=" + os.fsencode(home) in environment_of(pid)


def processes(home, *arguments):
    """The live processes of this home; with `arguments`, only those with one of these first arguments."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        if arguments and command_line(name)[1:2] not in [[argument] for argument in arguments]:
            continue
        if belongs(name, home):
            yield int(name)


def supervisors(home):
    """The supervisors of this home and their jobs, ordered by job id."""
    found = [(pid, command_line(pid)[2:3]) for pid in processes(home, b"__supervise")]
    return sorted(((pid, os.fsdecode(path[0]).rsplit("/", 1)[-1]) for pid, path in found if path), key=lambda x: x[1])


def send(pid, home, number):
    """Signals a process if it still belongs to this home. The handle prevents signalling another process with a reused pid."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not belongs(pid, home):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
