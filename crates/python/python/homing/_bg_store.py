"""What `homing.bg_jobs` knows: the home below its data directory, and what is left of the store that was there before."""

from __future__ import annotations

import errno
import os
import time

from . import _homing
from ._bg_text import read_job
from ._fork import open_home
from ._program import find_program
from .errors import Conflict, HomingError, InvalidRequest, NoSuchJob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

    from ._bg_takeover import TakeOver
    from ._bg_text import Excerpt

    Record = dict[str, Any]

RETENTION_MS = 3_600_000
"""How long after its end a job is kept that was followed up."""

PRUNE_EVERY_S = 60.0

OLD_STORE = "bg_jobs.json"
"""What the module of old calls its store."""

LONGEST_RUNTIME_S = 1e11
"""A longer limit than this is a mistake, or means none."""


class Store:
    """The jobs below one data directory. Safe from any number of threads and processes, and after a fork."""

    def __init__(self, old_store: str) -> None:
        """The jobs that stand beside `old_store`, the file in which the module of old keeps its own."""
        folder, name = os.path.split(old_store)
        self._path = os.path.join(folder, "homing" if name == OLD_STORE else f"{name}.homing")
        self._jobs = os.path.join(self._path, "jobs")
        self._old_store = old_store
        self._home: _homing.Home | None = None
        self._pid = 0
        self._take_over: TakeOver | None = None
        self._prune_at = 0.0
        self._exits_written: set[str] = set()

    def launch(
        self, command: str, session_id: str | int, cwd: str | os.PathLike[str] | None, max_runtime_s: float
    ) -> Record:
        try:
            record = _homing.bg_launch(
                self._opened(),
                {
                    "command": command,
                    "session_id": session_name(session_id),
                    "cwd": os.fspath(cwd) if cwd else None,
                    "timeout_ms": _limit_ms(max_runtime_s),
                },
            )
        except InvalidRequest as error:
            if cwd and error.code == "invalid_directory":
                # What is there and is no directory comes without a number of the system.
                number = error.errno or (errno.ENOTDIR if os.path.exists(cwd) else errno.ENOENT)
                raise OSError(number, os.strerror(number), os.fspath(cwd)) from None
            raise
        record["max_runtime_s"] = max_runtime_s
        return record

    def records(self, session_id: str | None = None) -> list[Record]:
        """All records, or those of one session, in the order of launch."""
        home = self._current()
        try:
            found = _homing.bg_records(home, session=session_id)
        except InvalidRequest:
            # No job has a session that cannot be.
            return []
        return self._with_followed(self._with_exits(found), session_id)

    def due(self) -> list[Record]:
        """The records of jobs that are over and that nobody was told of, in the order of launch."""
        return _in_order(self._with_exits(_homing.bg_records(self._current(), due=True)))

    def record(self, job_id: str) -> Record | None:
        home = self._current()
        if not is_job_id(job_id):
            return None
        try:
            return self._with_exits([_homing.bg_record(home, job_id)])[0]
        except NoSuchJob:
            return next((record for record in self._with_followed([]) if record["id"] == job_id), None)

    def mark(self, job_id: str) -> None:
        home, old = self._current(), self._take_over
        if not is_job_id(job_id):
            return
        if old is not None:
            old.mark(job_id)
        try:
            try:
                home.acknowledge([job_id])
            except Conflict:
                home.drop_follow_ups([job_id])
        except NoSuchJob:
            pass

    def kill(self, job_id: str) -> Record | None:
        home, old = self._current(), self._take_over
        if not is_job_id(job_id):
            return None
        if old is not None:
            old.kill(home, job_id)
        try:
            home.kill(job_id)
        except NoSuchJob:
            return None
        return self.record(job_id)

    def output(self, record: Record) -> Excerpt | None:
        """The output of a job of this home, nothing where that was pruned; `None` for a record from elsewhere."""
        job_id = record.get("id")
        if not is_job_id(job_id) or record.get("log_path") != os.path.join(self._jobs, job_id, "output.log"):
            return None
        try:
            return read_job(self._opened(), job_id)
        except NoSuchJob:
            return b"", None

    def _opened(self) -> _homing.Home:
        if self._home is None or self._pid != os.getpid():
            home = open_home(self._path, self._home, program=find_program(), config=False)
            # Last the pid: another thread that sees it finds all there, the old store too.
            self._take_over = self._begin_take_over()
            self._home = home
            self._pid = os.getpid()
        return self._home

    def _begin_take_over(self) -> TakeOver | None:
        if not os.path.exists(self._old_store):
            return None
        # Needs what nothing else here does, so it is imported only where there is something to take over.
        from ._bg_takeover import TakeOver

        return TakeOver(self._old_store, self._path, RETENTION_MS / 1000)

    def _current(self) -> _homing.Home:
        """The home, with the old store taken over as far as can be, and what is over and told removed."""
        home = self._opened()
        old = self._take_over
        if old is not None:
            old.advance(home)
            if old.is_done:
                self._take_over = None
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_EVERY_S
            try:
                self._exits_written.difference_update(home.prune(RETENTION_MS))
            except HomingError:
                # The disk may be full: nobody is kept from his jobs by that.
                pass
        return home

    def _with_followed(self, records: list[Record], session_id: str | None = None) -> list[Record]:
        """The same records, and those of jobs of the old store that run, in the order of launch."""
        running = self._take_over.running if self._take_over is not None else []
        # Another process may just have taken one over, and not have noted it yet.
        known = {record["id"] for record in records} if running else set()
        new = [dict(one) for one in running if one["id"] not in known and session_id in (None, one["session_id"])]
        return _in_order([*new, *records])

    def _with_exits(self, records: list[Record]) -> list[Record]:
        """The same records, with the files that `exit_path` promises."""
        for record in records:
            if record["exit_code"] is not None and record["id"] not in self._exits_written:
                self._write_exit(record)
        return records

    def _write_exit(self, record: Record) -> None:
        path = record["exit_path"]
        try:
            if not os.path.exists(path):
                write_private(path, f"{record['exit_code']}\n")
            self._exits_written.add(record["id"])
        except OSError:
            # Pruned just now, or the disk is full: the next look tries again.
            pass


def _in_order(records: list[Record]) -> list[Record]:
    """By launch: a job that was taken over is known later than one that was launched after it."""
    return sorted(records, key=_started_at)


def _started_at(record: Record) -> float:
    return float(record["started_at"])


def session_name(session_id: object) -> object:
    """The name of a session: applications number their sessions too."""
    return str(session_id) if isinstance(session_id, int) else session_id


def is_job_id(job_id: object) -> TypeGuard[str]:
    """Whether that is a whole id, and no beginning of one."""
    return isinstance(job_id, str) and len(job_id) == 12 and set(job_id) <= set("0123456789abcdef")


def write_private(path: str, text: str) -> None:
    """Writes a file that only this user can read: all of it, or nothing."""
    new = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except OSError:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise


def _limit_ms(max_runtime_s: float) -> int | None:
    if max_runtime_s == float("inf"):
        return None
    if not 0 < max_runtime_s < LONGEST_RUNTIME_S:
        raise InvalidRequest(f"max_runtime_s is a positive number of seconds, not {max_runtime_s!r}")
    return max(round(max_runtime_s * 1000), 1)
