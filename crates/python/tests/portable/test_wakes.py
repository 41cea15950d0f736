"""Wakes in an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from conftest import DEADLINE, wait_until

from homing import Homing, Job
from portable.commands import python

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def finished(homing: Homing, session: str) -> Job:
    return homing.launch(python("print('built')"), session=session).wait(DEADLINE, acknowledge=False)


def is_acknowledged(homing: Homing, job: Job) -> bool:
    return homing.get(job).follow_up.state == "acknowledged"


def test_a_session_is_woken_until_it_acknowledges(homing: Homing, run: Run) -> None:
    before = finished(homing, "chat-1")

    async def story() -> list[str]:
        seen = []
        async with homing.wakes("chat-*") as wakes:
            async for wake in wakes:
                seen.append(wake.id)
                if len(seen) == 1:
                    assert wake.session == "chat-1" and "built" in wake.text
                    await wake.busy()
                    homing.session_is_free("chat-1")
                elif len(seen) == 2:
                    await wake.acknowledge()
                    # A job that ends meanwhile is reported too.
                    homing.launch(python("print('built')"), session="chat-2")
                else:
                    assert wake.session == "chat-2"
                    await wake.acknowledge()
                    break
        return seen

    first, again, second = run(story())
    assert first == again != second
    assert is_acknowledged(homing, before) and homing.follow_ups() == []


def test_a_wake_that_raises_is_reported_as_failed_and_the_monitor_stops(homing: Homing, run: Run) -> None:
    job = finished(homing, "chat-1")

    async def story() -> None:
        async with homing.wakes() as wakes:
            async for _ in wakes:
                raise RuntimeError("the agent broke")

    with pytest.raises(RuntimeError):
        run(story())
    wait_until(lambda: homing.get(job).follow_up.attempts == 1, "the attempt is recorded")
    assert "the agent broke" in (homing.get(job).follow_up.last_error or "")

    async def again() -> None:
        async with homing.wakes() as wakes:
            homing.retry(job)
            async for wake in wakes:
                await wake.acknowledge()
                break

    run(again())
    assert is_acknowledged(homing, job)
