"""Background jobs with the interface of the `bg_jobs` module that applications carry copies of, on homing.

    from homing import bg_jobs          # instead of: from src import bg_jobs

A command is launched detached, and the application polls: for each of `pending_followups()` it runs the agent in the
session `rec["session_id"]` with `result_text(rec)`, and calls `mark_followed_up(rec["id"])` when that succeeded. Data lives
under `$DATA_DIR` (`data` without it; read when this is imported), in the home `homing`. No monitor is started, the user's
configuration is not read.

Records are dictionaries: `id`, `session_id`, `command`, `status` (`running`, `done`, `failed`), `pid`, `started_at`,
`ended_at`, `exit_code`, `max_runtime_s`, `followed_up`, `log_path`, `exit_path`; where it applies `timed_out`, `died` or
`killed` is `True`, and `exit_code` is -1. Times are seconds since the epoch.

What changes for who replaces such a copy:

- Any number of processes and threads may launch, poll and mark at once; none loses a record.
- A launch is durable, and neither it nor `pending_followups()` costs more with more jobs in the store.
- The time limit holds while nobody polls, and ends everything that the job started: SIGTERM, then SIGKILL after 10 s.
- A process that a job leaves behind is ended with the job.
- `ended_at` is when the job ended, not when somebody looked.
- `exit_code` is there when the job is over, never a guess: an outcome that nobody saw is `died`.
- A job whose supervisor is killed is ended and `died`; it does not live on.
- A full disk loses neither the outcome nor a poll; a torn store is rebuilt.
- A pid is never believed: no other process is ended in place of the job.
- Of a job that a signal ended, `signal` names it, and so does `result_text`. `exit_code` is 128 and its number, as before.
- A job that could not be started has the exit code -1, and `error` says why.
- `kill` is new: it ends a job with everything it started. `killed` is also set where a shutdown ended the supervisor.
- Output is kept in bounds on disk and in memory: the first 1 MiB in `log_path`, the last 4 MiB beside it.
- In texts, output has no terminal control codes, and of a progress bar only its last state.
- `exit_path` is written when somebody looks and not by the job; what has no exit code has -1 there.
- `mark_followed_up` of a job that runs means that nobody will be told of it.
- A blank command, a session id that is empty, longer than 256 bytes or has control characters, and a `max_runtime_s` that is
  not positive raise `ValueError`. `math.inf` means no limit; thousandths of a second are the finest that is kept.
- Jobs find `HOMING_JOB` and `HOMING_SESSION` in their environment.
- What is over and followed up goes an hour after its end, at most a minute later, when somebody polls.
- A session id that is an integer is its digits from then on; `list_for_session(None)` is empty.
- POSIX only; scripts are run by `bash`, or by `sh` where there is none.

Tests may set `_STORE`, `_JOBS_DIR` or `_DATA_DIR`, as with such a copy: the jobs are then in the home beside that store, or in
that directory.

An existing `bg_jobs.json` is taken over at the first call, with its outputs and the follow-ups that are still due, and is
left as it is: jobs that are over become jobs of the home, those that run are followed until they end. Nothing must go on
launching through the old module then. A torn `bg_jobs.json` is warned of, and taken over when it can be read.
"""

from __future__ import annotations

import os

from ._bg_store import OLD_STORE, Store
from ._bg_text import describe, read_file, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "DEFAULT_MAX_RUNTIME_S",
    "get",
    "kill",
    "launch",
    "list_for_session",
    "mark_followed_up",
    "pending_followups",
    "refresh",
    "result_text",
]

DEFAULT_MAX_RUNTIME_S = 3600
"""How long a job may run unless `launch` is told otherwise, in seconds."""

_OWN_STORE = os.path.abspath(os.path.join(os.environ.get("DATA_DIR", "data"), OLD_STORE))

_stores: dict[str, Store] = {}


def _store() -> Store:
    """The jobs of the data directory in force."""
    path = _path_in_force()
    store = _stores.get(path)
    # Of two threads that come first, both get the one that is kept.
    return store if store is not None else _stores.setdefault(path, Store(path))


def _path_in_force() -> str:
    """Where the store of old is: as this module was imported, or as somebody has set one of its variables since."""
    given = globals()
    for name, store_in in _VARIABLES.items():
        if name in given:
            path = store_in(os.path.abspath(given[name]))
            if path != _OWN_STORE:
                return path
    return _OWN_STORE


# By what they lead to the store. None of them is there before somebody asks for it or sets it: `pathlib` takes long.
_VARIABLES: dict[str, Callable[[str], str]] = {
    "_STORE": lambda path: path,
    "_JOBS_DIR": lambda path: os.path.join(os.path.dirname(path), OLD_STORE),
    "_DATA_DIR": lambda path: os.path.join(path, OLD_STORE),
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _VARIABLES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pathlib import Path

        store = Path(_OWN_STORE)
        return {"_STORE": store, "_JOBS_DIR": store.parent / "bg_jobs", "_DATA_DIR": store.parent}[name]


def launch(
    command: str,
    session_id: str | int,
    cwd: str | os.PathLike[str] | None = None,
    max_runtime_s: float = DEFAULT_MAX_RUNTIME_S,
) -> dict[str, Any]:
    """Launches `command`, a script for bash, detached. Returns its record as soon as it runs.

    Raises `FileNotFoundError` or `NotADirectoryError` where `cwd` is none, `ValueError` where what is asked for makes no
    sense; then nothing ran.
    """
    return _store().launch(command, session_id, cwd, max_runtime_s)


def refresh() -> dict[str, dict[str, Any]]:
    """All records as they are now, by id, in the order of launch."""
    return {record["id"]: record for record in _store().records()}


def pending_followups() -> list[dict[str, Any]]:
    """The jobs that are over and whose session has not been told. `mark_followed_up` takes them off this list."""
    return _store().due()


def mark_followed_up(job_id: str) -> None:
    """Notes that the session was told. An unknown id is no error."""
    _store().mark(job_id)


def get(job_id: str) -> dict[str, Any] | None:
    """The record of one job with its `output`; `None` where there is none of that id."""
    record = _store().record(job_id)
    return None if record is None else {**record, "output": _output(record)}


def list_for_session(session_id: str | int | None) -> list[dict[str, Any]]:
    """The records of one session, in the order of launch; none for `None`."""
    return [] if session_id is None else _store().records(str(session_id))


def kill(job_id: str) -> dict[str, Any] | None:
    """Ends a job with everything it started, and returns its record when nothing of it is left. Its session asked for
    that, so there is no follow-up. `None` where there is none of that id.

    A job that had ended before stays as it is, and its follow-up too.
    """
    return _store().kill(job_id)


def result_text(rec: dict[str, Any]) -> str:
    """What the agent reads about a job that is over: how it ended, its command and its output, 16,000 characters of it."""
    return f"{describe(rec)}\nCommand: {rec.get('command')}\n\nOutput:\n{_output(rec) or '(no output)'}"


def _output(record: dict[str, Any]) -> str:
    """The output as text; nothing where it is not there any more."""
    found = _store().output(record)
    if found is None:
        found = read_file(record.get("log_path"))
    return shorten(*found)
