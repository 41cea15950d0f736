"""What can go wrong. Every exception of this package is a `HomingError`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._job import Job


class HomingError(Exception):
    """The base of all exceptions of homing.

    `code` is a name for programs, stable across versions, as in the `--json` errors of the command line. `hint` says what
    the user can do, where there is something. `errno` is the system's error number, where there was one.
    """

    code: str = "error"
    hint: str | None = None
    errno: int | None = None

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class InvalidRequest(HomingError, ValueError):
    """What was asked for cannot be: a blank command, no directory to run in, a session id with control characters."""

    code = "invalid_request"


class NoSuchJob(HomingError, LookupError):
    """No job has that id, or several have an id that begins like that."""

    code = "no_such_job"


class StillRunning(HomingError, TimeoutError):
    """The time that a wait was given is over, and the job is not. `jobs` has them as they are."""

    code = "still_not_over"

    def __init__(self, message: str, jobs: list[Job] | None = None) -> None:
        super().__init__(message)
        self.jobs = jobs or []


class Conflict(HomingError):
    """What exists already does not allow what was asked: a job that runs cannot be acknowledged, and a key that a job has
    cannot be used for another request.
    """

    code = "follow_up_conflict"


class Unavailable(HomingError):
    """The home cannot be used now: another process holds the ledger, the disk is full, the program is missing."""

    code = "unavailable"


class InvalidConfig(HomingError, ValueError):
    """The configuration is wrong, or somebody else could have written it; the message names the file."""

    code = "invalid_config"


_CLASSES: dict[str, type[HomingError]] = {
    "no_such_job": NoSuchJob,
    "ambiguous_job": NoSuchJob,
    "invalid_id": InvalidRequest,
    "invalid_command": InvalidRequest,
    "invalid_directory": InvalidRequest,
    "no_such_sink": InvalidRequest,
    "invalid_request": InvalidRequest,
    "invalid_config": InvalidConfig,
    "config_refused": InvalidConfig,
    "secret_refused": InvalidConfig,
    "follow_up_conflict": Conflict,
    "key_taken": Conflict,
    "still_not_over": StillRunning,
}


def for_code(code: str) -> type[HomingError]:
    """The class of exceptions that stands for an error of that code."""
    return _CLASSES.get(code, Unavailable)
