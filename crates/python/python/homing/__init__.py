"""homing: background jobs for AI agents that always come home.

A command is launched detached; how it ended is recorded whatever dies in between; and the session that launched it is owed
a follow-up until it was really told.

    from homing import Homing

    homing = Homing()
    job = homing.launch("make test", session="chat-1")
    ...
    async for wake in homing.wakes():
        await run_agent(wake.session, wake.text)
        await wake.acknowledge()

`homing.bg_jobs` has the interface of the `bg_jobs` module that applications carry copies of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client import CONFIGURED, Homing
from ._homing import VERSION as __version__
from ._job import FollowUp, Job, Leftover, Outcome, Output, OutputSize
from .errors import Conflict, HomingError, InvalidConfig, InvalidRequest, NoSuchJob, StillRunning, Unavailable

if TYPE_CHECKING:
    from ._wakes import Wake, WakeStream

__all__ = [
    "CONFIGURED",
    "Conflict",
    "FollowUp",
    "Homing",
    "HomingError",
    "InvalidConfig",
    "InvalidRequest",
    "Job",
    "Leftover",
    "NoSuchJob",
    "Outcome",
    "Output",
    "OutputSize",
    "StillRunning",
    "Unavailable",
    "Wake",
    "WakeStream",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Only who consumes wakes needs asyncio, which takes longer to import than everything else together.
    if name in ("Wake", "WakeStream"):
        from . import _wakes

        return getattr(_wakes, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
