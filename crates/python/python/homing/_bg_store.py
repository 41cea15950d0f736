"""The state of `homing.bg_jobs`: the home below its data directory, and the old store that is being taken over."""

from __future__ import annotations

import errno
import os
import time

from . import _homing
from ._bg_records import is_job_id, session_name
from ._bg_text import read_job
from ._fork import open_home
from ._program import find_program
from .errors import Conflict, HomingError, InvalidRequest, NoSuchJob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._bg_takeover import TakeOver
    from ._bg_text import Excerpt

    Record = dict[str, Any]

RETENTION_MS = 3_600_000
"""Time that a followed-up job is kept after its end."""

PRUNE_EVERY_S = 60.0

OLD_STORE = "bg_jobs.json"
"""File name of the old module's store."""

LONGEST_RUNTIME_S = 1e11
"""Upper bound of `max_runtime_s`. A larger value is an error, except for infinity."""


class Store:
    """The jobs below one data directory. Safe from any number of threads and processes, and after a fork."""

    def __init__(self, old_store: str) -> None:
        """Opens the jobs beside `old_store`, the store file of the old module."""
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
                # A path that is not a directory has no errno.
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
            # An invalid session id has no jobs.
            return []
        return self._with_followed(self._with_exits(found), session_id)

    def due(self) -> list[Record]:
        """The records of finished jobs with a pending follow-up, in the order of launch."""
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
        """The output of a job of this home; empty if it was pruned; `None` for a record of another store."""
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
            # Set the pid last: a thread that sees it finds everything else set.
            self._take_over = self._begin_take_over()
            self._home = home
            self._pid = os.getpid()
        return self._home

    def _begin_take_over(self) -> TakeOver | None:
        if not os.path.exists(self._old_store):
            return None
        # Imported only if there is something to take over: nothing else needs its imports.
        from ._bg_takeover import TakeOver

        return TakeOver(self._old_store, self._path, RETENTION_MS / 1000)

    def _current(self) -> _homing.Home:
        """The home, after taking over what is possible from the old store and pruning followed-up jobs."""
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
                # The disk may be full. The jobs must stay accessible.
                pass
        return home

    def _with_followed(self, records: list[Record], session_id: str | None = None) -> list[Record]:
        """The same records and those of running jobs of the old store, in the order of launch."""
        running = self._take_over.running if self._take_over is not None else []
        # Another process may have imported one and not yet saved its state.
        known = {record["id"] for record in records} if running else set()
        new = [dict(one) for one in running if one["id"] not in known and session_id in (None, one["session_id"])]
        return _in_order([*new, *records])

    def _with_exits(self, records: list[Record]) -> list[Record]:
        """The same records, after writing the file of each `exit_path`."""
        for record in records:
            if record["exit_code"] is not None and record["id"] not in self._exits_written:
                self._write_exit(record)
        return records

    def _write_exit(self, record: Record) -> None:
        path = record["exit_path"]
        try:
            if not os.path.exists(path):
                _homing.write_private(*os.path.split(path), f"{record['exit_code']}\n")
            self._exits_written.add(record["id"])
        except OSError:
            # The job was just pruned, or the disk is full. The next poll tries again.
            pass


def _in_order(records: list[Record]) -> list[Record]:
    """Sorted by launch. A job that was taken over may enter the home after a job that was launched later."""
    return sorted(records, key=_started_at)


def _started_at(record: Record) -> float:
    return float(record["started_at"])


def _limit_ms(max_runtime_s: float) -> int | None:
    if max_runtime_s == float("inf"):
        return None
    if not 0 < max_runtime_s < LONGEST_RUNTIME_S:
        raise InvalidRequest(f"max_runtime_s must be a positive number of seconds, not {max_runtime_s!r}")
    return max(round(max_runtime_s * 1000), 1)
