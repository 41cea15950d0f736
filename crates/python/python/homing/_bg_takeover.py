"""Takes over the store of the old `bg_jobs` module once and completely, without changing it.

Finished jobs become jobs of the home. Running jobs are followed by the files that their wrappers write, and are imported
when they end. A file in the home lists the jobs that are still followed. Its existence says that the old store has been read;
the old store is then never read again. After a crash a step is repeated; every step may run twice.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from contextlib import contextmanager

from . import _homing
from ._bg_records import is_job_id, session_name
from .errors import HomingError, InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Record = dict[str, Any]

DEFAULT_MAX_RUNTIME_S = 3600

STATE = "taken-over.json"
"""File in the home with the records that are still followed. If it exists, the old store is not read again."""

LOCK = "taken-over.lock"


class TakeOver:
    """The take-over of one old store into its home. Safe from several threads and processes."""

    def __init__(self, store: str, home_path: str, retention_s: float) -> None:
        self._store = store
        self._files = os.path.join(os.path.dirname(store), "bg_jobs")
        self._home_path = home_path
        self._retention_s = retention_s
        self._unreadable: tuple[int, int] | None = None
        self.running: list[Record] = []
        """The running jobs, as of the last `advance`."""
        self.is_done = False
        """Whether no job is left to follow."""

    def advance(self, home: _homing.Home) -> None:
        """Imports the jobs that have finished since the last call."""
        followed = self._followed()
        # The first caller takes over the store; the others wait. Later, one caller at a time checks the running jobs.
        with self._locked(wait=followed is None) as is_locked:
            if is_locked:
                self._import_finished(home)
            else:
                self.running = followed or []

    def mark(self, job_id: str) -> None:
        """Marks a running job as followed up. Does nothing for other jobs."""
        with self._locked(wait=True):
            followed = self._followed() or []
            found = [record for record in followed if record["id"] == job_id]
            for record in found:
                record["followed_up"] = True
            if found:
                self._save(followed)

    def kill(self, home: _homing.Home, job_id: str) -> None:
        """Ends a running job of the old store. Does nothing for other jobs."""
        with self._locked(wait=True):
            followed = self._followed() or []
            for record in [record for record in followed if record["id"] == job_id]:
                ended = self._end_of(record, time.time())
                if ended is None:
                    leader = _leader(record)
                    if leader is not None and not _homing.bg_end_processes(job_id, leader):
                        raise HomingError(f"job {job_id} did not end when it was killed")
                    ended = {**record, "killed": True, "exit_code": None, "ended_at": time.time()}
                self._import(home, [ended])
                followed.remove(record)
                self._save(followed)

    @contextmanager
    def _locked(self, wait: bool) -> Iterator[bool]:
        lock = _homing.bg_lock(self._home_path, LOCK, wait)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _import_finished(self, home: _homing.Home) -> None:
        followed = self._followed()
        records = self._read_store() if followed is None else followed
        if records is None:
            return
        now = time.time()
        finished, running = [], []
        for record in records:
            end = self._end_of(record, now)
            if end is None:
                running.append(record)
            elif not self._is_forgotten(end, now):
                finished.append(end)
        try:
            self._import(home, finished)
            if followed is None or running != followed:
                self._save(running)
        except (HomingError, OSError) as error:
            # The disk may be full. Nothing is lost: the next poll tries again.
            _warn(f"{self._store} cannot be taken over now: {error}")
            return
        finally:
            self.running = running
        self.is_done = not running

    def _followed(self) -> list[Record] | None:
        """The jobs that are still followed; `None` if the store has not been taken over."""
        saved = _homing.read_private(self._home_path, STATE)
        try:
            return None if saved is None else json.loads(saved)
        except ValueError:
            return None

    def _save(self, followed: list[Record]) -> None:
        _homing.write_private(self._home_path, STATE, json.dumps(followed))

    def _read_store(self) -> list[Record] | None:
        """The records of the old store; `None`, with one warning, if it cannot be read."""
        try:
            with open(self._store, "rb") as file:
                status = os.fstat(file.fileno())
                version = status.st_mtime_ns, status.st_size
                if version == self._unreadable:
                    return None
                self._unreadable = version
                document = json.load(file)
            if not isinstance(document, dict):
                raise ValueError("it is not a JSON object")
        except (OSError, ValueError) as error:
            _warn(f"{self._store} is not taken over, because it cannot be read: {error}")
            return None
        sound = [record for id, record in document.items() if self._is_sound(id, record)]
        return [{**record, "session_id": session_name(record["session_id"])} for record in sound]

    def _is_sound(self, id: str, record: object) -> bool:
        sound = (
            isinstance(record, dict)
            and record.get("id") == id
            and is_job_id(id)
            and isinstance(record.get("session_id"), (str, int))
            and isinstance(record.get("command"), str)
            and _is_time(record.get("started_at"))
        )
        if not sound:
            _warn(f"{self._store} has an invalid record, which is not taken over: {id}")
        return sound

    def _is_forgotten(self, record: Record, now: float) -> bool:
        """Whether the old module would have removed the record at its next poll."""
        return bool(record.get("followed_up")) and now - record["ended_at"] > self._retention_s

    def _end_of(self, record: Record, now: float) -> Record | None:
        """The record with its outcome; `None` while the job runs."""
        if record.get("status") != "running":
            ended_at = record.get("ended_at")
            return {**record, "ended_at": ended_at if _is_time(ended_at) else record["started_at"]}
        id, leader, limit = record["id"], _leader(record), record.get("max_runtime_s", DEFAULT_MAX_RUNTIME_S)
        # Checked before the file: a wrapper that writes the file and exits in between is not considered dead.
        is_supervised = leader is not None and _homing.bg_is_supervised(id, leader)
        written = self._written_exit(record, not is_supervised)
        if written is not None:
            return {**record, "exit_code": written[0], "ended_at": written[1]}
        is_late = isinstance(limit, (int, float)) and now - record["started_at"] > limit
        if leader is not None and is_late and _homing.bg_has_processes(id, leader):
            # If it does not end even when it is killed, the next poll tries again.
            ended = {**record, "timed_out": True, "exit_code": None, "ended_at": time.time()}
            return ended if _homing.bg_end_processes(id, leader) else None
        if not is_supervised:
            # No process will record its end, so the remaining processes would have no limit.
            ended = {**record, "died": True, "exit_code": None, "ended_at": now}
            return ended if leader is None or _homing.bg_end_processes(id, leader) else None
        return None

    def _written_exit(self, record: Record, is_final: bool) -> tuple[int, float] | None:
        """The exit code that the wrapper wrote, and its time. An incomplete file does not count."""
        try:
            with open(self._file(record, "exit_path", "exit"), "rb") as file:
                text, written_at = file.read(64), os.fstat(file.fileno()).st_mtime
            return (int(text), written_at) if text.endswith(b"\n") or is_final else None
        except (OSError, ValueError):
            return None

    def _file(self, record: Record, key: str, suffix: str) -> str:
        """A file of a job: at the recorded path, or beside the store if the data was moved."""
        named = record.get(key)
        if isinstance(named, str) and os.path.isabs(named) and os.path.exists(named):
            return named
        return os.path.join(self._files, f"{record['id']}.{suffix}")

    def _import(self, home: _homing.Home, finished: list[Record]) -> None:
        jobs = [self._job(record) for record in finished]
        try:
            _homing.bg_import(home, jobs)
        except (InvalidRequest, TypeError):
            # One of them has an invalid value. Import the others.
            for job in jobs:
                self._import_one(home, job)

    def _import_one(self, home: _homing.Home, job: Record) -> None:
        try:
            _homing.bg_import(home, [job])
        except (InvalidRequest, TypeError) as error:
            _warn(f"job {job['id']} of {self._store} cannot be taken over: {error}")

    def _job(self, record: Record) -> Record:
        code, pid, limit = record.get("exit_code"), record.get("pid"), record.get("max_runtime_s")
        # `cmd.exe` writes large codes of Windows as negative numbers, and other programs do not.
        has_code = isinstance(code, int) and -(1 << 31) <= code < 1 << 32 and not record.get("died")
        return {
            "id": record["id"],
            "session_id": record["session_id"],
            "command": record["command"],
            # The old store does not record the directory of a job.
            "cwd": os.path.dirname(self._store),
            "pid": pid if isinstance(pid, int) and 0 < pid < 1 << 32 else None,
            "started_at": record["started_at"],
            "ended_at": record["ended_at"],
            "max_runtime_s": limit if isinstance(limit, (int, float)) else DEFAULT_MAX_RUNTIME_S,
            "exit_code": code if has_code else None,
            "timed_out": bool(record.get("timed_out")),
            "killed": bool(record.get("killed")),
            "log_path": self._file(record, "log_path", "log"),
            "acknowledged": bool(record.get("followed_up")) or bool(record.get("killed")),
        }


def _leader(record: Record) -> int | None:
    """The pid of the wrapper; `None` if the record has none that can be."""
    pid = record.get("pid")
    return pid if isinstance(pid, int) and 1 < pid < 1 << 32 else None


def _is_time(value: object) -> bool:
    """Whether this is a finite number of seconds since the epoch."""
    return isinstance(value, (int, float)) and 0 <= value < 1e11


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
