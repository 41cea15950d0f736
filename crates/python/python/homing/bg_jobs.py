"""Background jobs with the interface of the `bg_jobs` module that applications carry copies of, on homing.

    from homing import bg_jobs          # instead of: from src import bg_jobs

A command runs detached, and the application polls. For each record of `pending_followups()` it runs the agent in the
session `rec["session_id"]` with `result_text(rec)`, and calls `mark_followed_up(rec["id"])` after that succeeded. Data is
stored under `$DATA_DIR` (default `data`; read at import), in the home `homing`. No monitor is started, and the
configuration of the user is not read.

Records are dictionaries: `id`, `session_id`, `command`, `status` (`running`, `done`, `failed`), `pid`, `started_at`,
`ended_at`, `exit_code`, `max_runtime_s`, `followed_up`, `log_path`, `exit_path`. If it applies, `timed_out`, `died` or
`killed` is `True`, and `exit_code` is -1. Times are seconds since the epoch.

Differences from such a copy:

- Any number of processes and threads may launch, poll and mark at once. No record is lost.
- A launch is durable. The cost of a launch and of `pending_followups()` does not grow with the number of jobs.
- The timeout is enforced while no process polls. It ends every process that the job started: SIGTERM, then SIGKILL
  after 10 s. On Windows, Ctrl-Break takes the place of SIGTERM.
- Processes that a job leaves behind are ended with the job.
- `ended_at` is the time when the job ended, not the time of a poll.
- `exit_code` is set when the job has finished. It is never guessed: an unknown outcome is `died`.
- A job whose supervisor is killed is ended and is `died`. It does not keep running.
- A full disk loses neither the outcome nor a poll. A torn store is rebuilt.
- A pid alone never identifies a process, so no other process is killed in place of the job.
- If a signal ended the job, `signal` and `result_text` name it. `exit_code` is 128 plus its number, as before.
- A job that could not be started has the exit code -1, and `error` says why.
- `kill` is new: it kills a job with every process it started. `killed` is also set if a shutdown ended the supervisor.
- Output is bounded on disk and in memory: the first 1 MiB in `log_path`, the last 4 MiB beside it.
- In texts, output has no terminal control codes, and only the last state of a progress bar.
- `exit_path` is written by a poll, not by the job. It contains -1 if there is no exit code.
- `mark_followed_up` of a running job means that its session is not notified.
- A blank command, a session id that is empty, longer than 256 bytes or has control characters, and a `max_runtime_s` that is
  not positive raise `ValueError`. `math.inf` disables the limit. The resolution is one millisecond.
- Jobs get `HOMING_JOB` and `HOMING_SESSION` in their environment.
- Finished and followed-up jobs are deleted by a poll an hour after their end, at most a minute later.
- An integer session id is stored as its digits. `list_for_session(None)` is empty.
- Scripts are run by `bash`, or by `sh` if `bash` is missing. On Windows they are run by Git Bash, or by `cmd.exe` if it is
  missing, never by the `bash` of WSL.
- On Windows, exit codes are from 0 to 4294967295. A copy has 2147483648 and more as negative numbers.

Tests may set `_STORE`, `_JOBS_DIR` or `_DATA_DIR`, as with such a copy. The jobs are then in the home beside that store, or
in that directory.

The first call takes over an existing `bg_jobs.json`, with its outputs and its pending follow-ups, and does not change the
file. Finished jobs become jobs of the home; running jobs are followed until they end. Do not launch through the old module
after that. If `bg_jobs.json` is torn, a warning is issued, and the file is taken over when it can be read. On Windows, a copy
that runs scripts by `cmd.exe` records no exit code below 10: a job that it has not yet marked as finished is then `died`.
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
"""Default of `max_runtime_s`."""

_OWN_STORE = os.path.abspath(os.path.join(os.environ.get("DATA_DIR", "data"), OLD_STORE))

_stores: dict[str, Store] = {}


def _store() -> Store:
    """The store of the current data directory."""
    path = _path_in_force()
    store = _stores.get(path)
    # If two threads get here first, both get the same store.
    return store if store is not None else _stores.setdefault(path, Store(path))


def _path_in_force() -> str:
    """Path of the old store: from the time of import, or from a variable that was set later."""
    given = globals()
    for name, store_in in _VARIABLES.items():
        if name in given:
            path = store_in(os.path.abspath(given[name]))
            if path != _OWN_STORE:
                return path
    return _OWN_STORE


# Computes the store path from each variable. They are created on first use, because importing `pathlib` is slow.
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
    """Launches `command`, a script, detached. Returns its record as soon as it runs.

    Raises `FileNotFoundError` or `NotADirectoryError` if `cwd` is not a directory, and `ValueError` for an invalid request. In
    these cases no command ran.
    """
    return _store().launch(command, session_id, cwd, max_runtime_s)


def refresh() -> dict[str, dict[str, Any]]:
    """All current records by id, in the order of launch."""
    return {record["id"]: record for record in _store().records()}


def pending_followups() -> list[dict[str, Any]]:
    """The finished jobs whose session has not been notified. `mark_followed_up` removes them from this list."""
    return _store().due()


def mark_followed_up(job_id: str) -> None:
    """Records that the session was notified. An unknown id is not an error."""
    _store().mark(job_id)


def get(job_id: str) -> dict[str, Any] | None:
    """The record of one job with its `output`; `None` for an unknown id."""
    record = _store().record(job_id)
    return None if record is None else {**record, "output": _output(record)}


def list_for_session(session_id: str | int | None) -> list[dict[str, Any]]:
    """The records of one session, in the order of launch; empty for `None`."""
    return [] if session_id is None else _store().records(str(session_id))


def kill(job_id: str) -> dict[str, Any] | None:
    """Kills a job with every process it started, and returns its record when all of them are gone. Its session requested the
    kill, so there is no follow-up. `None` for an unknown id.

    A job that has already finished does not change, nor does its follow-up.
    """
    return _store().kill(job_id)


def result_text(rec: dict[str, Any]) -> str:
    """The text for the agent about a finished job: outcome, command and at most 16,000 characters of output."""
    return f"{describe(rec)}\nCommand: {rec.get('command')}\n\nOutput:\n{_output(rec) or '(no output)'}"


def _output(record: dict[str, Any]) -> str:
    """The output as text; empty if it was deleted."""
    found = _store().output(record)
    if found is None:
        found = read_file(record.get("log_path"))
    return shorten(*found)
