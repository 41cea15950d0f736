"""The processes of a job that the old `bg_jobs` module launched. A pid alone never identifies a process."""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Process(NamedTuple):
        """Fields of /proc/PID/stat (proc_pid_stat(5))."""

        parent: int
        session: int
        start_ticks: int

else:
    from collections import namedtuple

    Process = namedtuple("Process", "parent session start_ticks")

GRACE_S = 5.0
"""Time between SIGTERM and SIGKILL."""

KILL_TIMEOUT_S = 10.0
"""Time that processes have to exit after SIGKILL. They may hang in the kernel."""

INTERVAL_S = 0.02


def tree_of(job_id: str, leader: object) -> dict[int, Process]:
    """The live processes of a job: its session and all descendants. Empty if another process now has that session id.

    The leader runs `bash …/ID.sh`. Its child runs `bash …/ID.cmd.sh` and may survive it.
    """
    if not isinstance(leader, int) or leader <= 1:
        return {}
    everything = _processes()
    session = [pid for pid, process in everything.items() if process.session == leader]
    if any(_names(pid, f"{job_id}.sh") or _names(pid, f"{job_id}.cmd.sh") for pid in session):
        return _with_descendants(everything, session)
    return {}


def is_supervised_here(job_id: str, leader: object) -> bool:
    """Whether the process that will record the end of the job is alive."""
    return isinstance(leader, int) and leader > 1 and _names(leader, f"{job_id}.sh")


def end_tree(job_id: str, leader: object) -> bool:
    """Ends the live processes of a job by SIGTERM, then SIGKILL. Returns whether all of them are gone."""
    tree = tree_of(job_id, leader)
    send_at, give_up_at = time.monotonic() + GRACE_S, time.monotonic() + GRACE_S + KILL_TIMEOUT_S
    for pid, process in tree.items():
        # A stopped process handles SIGTERM only after SIGCONT.
        _send(pid, process, signal.SIGTERM)
        _send(pid, process, signal.SIGCONT)
    while tree:
        if time.monotonic() >= give_up_at:
            return False
        if time.monotonic() >= send_at:
            for pid, process in tree.items():
                _send(pid, process, signal.SIGKILL)
        time.sleep(INTERVAL_S)
        everything = _processes()
        alive = [pid for pid, process in tree.items() if _is_same(everything.get(pid), process)]
        # While one of them is alive, the session id is not reused, so new processes in it belong to the job too.
        new = [pid for pid, process in everything.items() if alive and process.session == leader]
        tree = _with_descendants(everything, [*alive, *new])
    return True


def _with_descendants(everything: dict[int, Process], pids: list[int]) -> dict[int, Process]:
    children: dict[int, list[int]] = {}
    for pid, process in everything.items():
        children.setdefault(process.parent, []).append(pid)
    found: dict[int, Process] = {}
    while pids:
        pid = pids.pop()
        if pid in everything and pid not in found:
            found[pid] = everything[pid]
            pids.extend(children.get(pid, ()))
    return found


def _processes() -> dict[int, Process]:
    """All processes except zombies."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = _process(int(name))
            if process is not None:
                found[int(name)] = process
    return found


def _process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may contain any character.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(parent=int(fields[1]), session=int(fields[3]), start_ticks=int(fields[19]))


def _is_same(now: Process | None, then: Process) -> bool:
    return now is not None and now.start_ticks == then.start_ticks


def _names(pid: int, script: str) -> bool:
    """Whether a process was started with that script as an argument."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read().split(b"\0")
    except OSError:
        return False
    wanted = script.encode()
    return any(argument == wanted or argument.endswith(b"/" + wanted) for argument in arguments)


def _send(pid: int, process: Process, number: signal.Signals) -> None:
    """Sends a signal to exactly this process: opens a handle first, then verifies the identity."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _is_same(_process(pid), process):
            signal.pidfd_send_signal(handle, number)
    except OSError:
        pass
    finally:
        os.close(handle)
