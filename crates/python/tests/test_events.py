"""Events: pages, and following them without polling and without a monitor."""

from __future__ import annotations

import asyncio
import time

import pytest
from conftest import DEADLINE, wait_until

from homing import Event, EventPage, Homing, InvalidRequest, Outcome

OF_ONE_JOB = ["job.seen", "job.started", "job.finished", "follow_up.pending"]


def test_events_are_typed(homing: Homing) -> None:
    start = homing.events().next
    job = homing.launch("exit 3", session="chat-1", name="nightly")
    wait_until(lambda: job.refresh().is_finished, "it has finished")
    homing.acknowledge(job)
    page = homing.events(start)
    assert [event.type for event in page.events] == [*OF_ONE_JOB, "follow_up.acknowledged"]
    assert {(event.session, event.job, event.name, event.wake) for event in page.events} == {("chat-1", job.id, "nightly", None)}
    seen, _, finished, pending, acknowledged = page.events
    assert seen.actor.kind == "session" and seen.actor.session == "chat-1"
    assert finished.outcome == Outcome("exited", exit_code=3)
    assert finished.occurred_at == job.refresh().ended_at
    assert (pending.previous, acknowledged.previous) == ("waiting", "pending")
    assert acknowledged.actor.kind == "process" and acknowledged.actor.pid is not None
    assert not page.truncated and not page.has_more
    assert homing.events(page.next).events == ()
    assert homing.events(seen.cursor).events == page.events[1:]


def test_pages_have_limits_and_sessions(homing: Homing) -> None:
    for session in ("chat-1", "chat-2"):
        homing.launch("true", session=session).wait(DEADLINE, acknowledge=False)
    first = homing.events("oldest", session="chat-2", limit=3)
    assert first.has_more and [event.type for event in first.events] == OF_ONE_JOB[:3]
    rest = homing.events(first.next, session="chat-2")
    assert not rest.has_more and [event.type for event in rest.events] == OF_ONE_JOB[3:]
    newest = homing.newest_events(1)
    assert newest.has_more and newest.events[0].type == "follow_up.pending" and newest.next == newest.events[0].cursor


def test_an_unknown_cursor_is_announced_and_a_malformed_one_is_an_error(homing: Homing) -> None:
    homing.launch("true").wait(DEADLINE)
    unknown = homing.events("00000000.7")
    assert unknown.truncated and unknown.events == homing.events("oldest").events
    with pytest.raises(InvalidRequest, match="cursor"):
        homing.events("yesterday")
    with pytest.raises(InvalidRequest, match="limit"):
        homing.events(limit=-1)


def test_events_are_followed_as_they_happen(homing: Homing) -> None:
    pages = homing.follow_events()
    assert next(pages) == EventPage((), homing.events().next, truncated=False, has_more=False)
    job = homing.launch("exit 3")
    events: list[Event] = []
    while not events or events[-1].type != "follow_up.pending":
        page = next(pages)
        assert page.events
        events += page.events
    assert [event.type for event in events if event.job == job.id] == OF_ONE_JOB


def test_following_in_an_event_loop_costs_nothing_while_nothing_happens(homing: Homing) -> None:
    async def story() -> list[str]:
        types: list[str] = []

        async def follow() -> None:
            async for page in homing.follow_events_async():
                types.extend(["page", *(event.type for event in page.events)])

        following = asyncio.create_task(follow())
        while not types:
            await asyncio.sleep(0.01)
        before = time.process_time()
        await asyncio.sleep(1)
        # A busy loop would use the whole second.
        assert time.process_time() - before < 0.5
        await asyncio.to_thread(homing.launch, "true")
        while "follow_up.pending" not in types:
            await asyncio.sleep(0.01)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        return [type for type in types if type != "page"]

    assert asyncio.run(asyncio.wait_for(story(), DEADLINE)) == OF_ONE_JOB
