"""Helpers of the wake tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from homing import Homing, Job

DEADLINE = 30.0
Answer = TypeVar("Answer")


def run(main: Coroutine[Any, Any, Answer]) -> Answer:
    async def bounded() -> Answer:
        return await asyncio.wait_for(main, DEADLINE)

    return asyncio.run(bounded())


def finished(homing: Homing, session: str = "chat-1", command: str = "true") -> Job:
    """A finished job with a pending follow-up."""
    return homing.launch(command, session=session).wait(timeout=DEADLINE, acknowledge=False)


def notified(homing: Homing, *jobs: Job) -> bool:
    return all(homing.get(job).follow_up.state == "acknowledged" for job in jobs)
