"""The exceptions of this package. Each is a `HomingError`."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._job import Job

__all__ = [
    "Conflict",
    "HomingError",
    "InvalidConfig",
    "InvalidRequest",
    "NoSuchJob",
    "StillRunning",
    "Unavailable",
]


class HomingError(Exception):
    """The base of all exceptions of homing.

    `code` is a stable name for programs, the same as in the `--json` errors of the command line. `hint` says what the user can
    do, if anything. `errno` is the error number of the system, if there was one.
    """

    code: str = "error"
    hint: str | None = None
    errno: int | None = None

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class InvalidRequest(HomingError, ValueError):
    """The request is invalid: a blank command, a missing directory, a session id with control characters."""

    code = "invalid_request"


class NoSuchJob(HomingError, LookupError):
    """No job has this id, or several ids have this prefix."""

    code = "no_such_job"


class StillRunning(HomingError, TimeoutError):
    """A wait has timed out before the jobs have finished. `jobs` contains their current state."""

    code = "not_finished_in_time"

    def __init__(self, message: str, jobs: list[Job] | None = None) -> None:
        super().__init__(message)
        self.jobs = jobs or []


class Conflict(HomingError):
    """The request conflicts with existing state: a running job cannot be acknowledged, and the key of a job cannot be used
    for another request.
    """

    code = "follow_up_conflict"


class Unavailable(HomingError):
    """The home cannot be used now: another process has locked the ledger, the disk is full, the program is missing."""

    code = "unavailable"


class InvalidConfig(HomingError, ValueError):
    """The configuration is invalid, or other users can write to it. The message names the file."""

    code = "invalid_config"


_CLASSES: dict[str, type[HomingError]] = {
    "no_such_job": NoSuchJob,
    "ambiguous_job": NoSuchJob,
    "invalid_id": InvalidRequest,
    "invalid_command": InvalidRequest,
    "invalid_directory": InvalidRequest,
    "no_such_sink": InvalidRequest,
    "no_such_executor": InvalidRequest,
    "invalid_request": InvalidRequest,
    "invalid_config": InvalidConfig,
    "config_refused": InvalidConfig,
    "secret_refused": InvalidConfig,
    "follow_up_conflict": Conflict,
    "key_taken": Conflict,
    "not_finished_in_time": StillRunning,
}


def _for_code(code: str) -> type[HomingError]:
    """The exception class of an error code."""
    return _CLASSES.get(code, Unavailable)


def _number_of(code: int | None) -> int | None:
    """The error number (`errno`) of an error code of the system. On Windows they differ."""
    if sys.platform == "win32" and code is not None:
        return OSError(None, None, None, code).errno
    return code
