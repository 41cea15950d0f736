"""homing: background jobs for AI agents.

A command runs detached. homing records how it ended, even across crashes and reboots, and notifies the session that launched
it until the session has acknowledged the result.

    from homing import Homing

    homing = Homing()
    job = homing.launch("make test", session="chat-1")
    ...
    async for wake in homing.wakes():
        await run_agent(wake.session, wake.text)
        await wake.acknowledge()

`homing.bg_jobs` replaces copies of the `bg_jobs` module. It has the same interface.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._client import CONFIGURED, Homing
    from ._events import Actor, Event, EventPage
    from ._homing import VERSION as __version__
    from ._job import FollowUp, Job, Leftover, Outcome, Output, OutputPiece, OutputSize
    from ._types import FollowUpPolicy, FollowUpState, LeftoversPolicy, OutcomeKind, Seconds, State
    from ._wakes import Wake, WakeStream
    from .errors import Conflict, HomingError, InvalidConfig, InvalidRequest, NoSuchJob, StillRunning, Unavailable

__all__ = [
    "Actor",
    "CONFIGURED",
    "Conflict",
    "Event",
    "EventPage",
    "FollowUp",
    "FollowUpPolicy",
    "FollowUpState",
    "Homing",
    "HomingError",
    "InvalidConfig",
    "InvalidRequest",
    "Job",
    "Leftover",
    "LeftoversPolicy",
    "NoSuchJob",
    "Outcome",
    "OutcomeKind",
    "Output",
    "OutputPiece",
    "OutputSize",
    "Seconds",
    "State",
    "StillRunning",
    "Unavailable",
    "Wake",
    "WakeStream",
    "__version__",
]


# Modules are imported on first use. asyncio and dataclasses take longer to import than everything else together, and
# `homing.bg_jobs` needs neither.
_MODULES = {
    "_client": ("CONFIGURED", "Homing"),
    "_events": ("Actor", "Event", "EventPage"),
    "_job": ("FollowUp", "Job", "Leftover", "Outcome", "Output", "OutputPiece", "OutputSize"),
    "_types": ("FollowUpPolicy", "FollowUpState", "LeftoversPolicy", "OutcomeKind", "Seconds", "State"),
    "_wakes": ("Wake", "WakeStream"),
    "errors": (
        "Conflict",
        "HomingError",
        "InvalidConfig",
        "InvalidRequest",
        "NoSuchJob",
        "StillRunning",
        "Unavailable",
    ),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        value: object = import_module("._homing", __name__).VERSION
    else:
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
