"""`Homing.wakes` under faults: consumers that are cancelled, fail, answer late or never; loops that are abandoned. Each session
is notified in every case.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import wait_until
from homing import Homing, InvalidRequest, Job, Wake, WakeStream
from waking import finished, notified, run


def job_ids(wakes: list[Wake]) -> list[str]:
    return sorted(job.id for wake in wakes for job in wake.jobs)


def test_a_wake_contains_the_text_and_is_finished_once_acknowledged(home: Path) -> None:
    homing = Homing()
    job = finished(homing, command="echo done; exit 3")

    async def main() -> None:
        async with homing.wakes() as wakes:
            wake = await anext(wakes)
            assert (wake.session, wake.attempt, [one.id for one in wake.jobs]) == ("chat-1", 1, [job.id])
            assert "exit code 3" in wake.text and "done" in wake.text
            await wake.acknowledge()
            assert notified(homing, job)

    run(main())


def test_a_closed_stream_can_be_opened_again(home: Path) -> None:
    homing = Homing()

    async def main() -> None:
        for number in range(5):
            job = finished(homing, f"chat-{number}")
            async with homing.wakes() as wakes:
                wake = await anext(wakes)
                assert job_ids([wake]) == [job.id]
                await wake.acknowledge()
            assert notified(homing, job)

    run(main())


def test_an_abandoned_loop_can_be_entered_again_at_once(home: Path) -> None:
    homing = Homing()
    jobs = [finished(homing, f"chat-{number}") for number in range(5)]

    async def main() -> None:
        for _ in jobs:
            # The stream is not closed, only released.
            async for wake in homing.wakes():
                await wake.acknowledge()
                break
            else:
                raise AssertionError("the loop has ended by itself")

    run(main())
    assert notified(homing, *jobs)


def test_unclaimed_wakes_use_up_no_attempt_when_the_loop_ends(home: Path) -> None:
    homing = Homing()
    jobs = [finished(homing, f"chat-{number}") for number in range(5)]

    async def first() -> None:
        async for wake in homing.wakes():
            await wake.acknowledge()
            break

    run(first())
    gc.collect()

    async def rest() -> list[Wake]:
        wakes: list[Wake] = []
        async with homing.wakes() as stream:
            while len(wakes) < 4:
                wakes.append(await anext(stream))
                await wakes[-1].acknowledge()
        return wakes

    wakes = run(rest())
    assert [wake.attempt for wake in wakes] == [1] * 4
    assert notified(homing, *jobs)


def test_an_abandoned_event_loop_does_not_delay_the_next(home: Path) -> None:
    homing = Homing()
    kept: list[WakeStream] = []

    async def abandon() -> None:
        kept.append(homing.wakes())
        await (await anext(kept[-1])).acknowledge()

    jobs = []
    for number in range(4):
        jobs.append(finished(homing, f"chat-{number}"))
        run(abandon())
    assert notified(homing, *jobs)

    async def close() -> None:
        for stream in kept:
            await stream.aclose()

    run(close())


def test_a_wake_can_be_answered_after_its_stream_and_event_loop_ended(home: Path) -> None:
    homing = Homing()
    jobs = [finished(homing, "chat-1"), finished(homing, "chat-2")]

    async def take() -> list[Wake]:
        async with homing.wakes() as stream:
            return [await anext(stream), await anext(stream)]

    async def acknowledge(wakes: list[Wake]) -> None:
        for wake in wakes:
            await wake.acknowledge()

    run(acknowledge(run(take())))
    assert notified(homing, *jobs)

    async def claim_and_forget() -> Wake:
        return await anext(homing.wakes())

    job = finished(homing, "chat-3")
    wake = run(claim_and_forget())
    run(acknowledge([wake]))
    assert notified(homing, job)


@pytest.mark.parametrize("ending", ["cancelled", "exception", "closed"])
def test_an_unanswered_wake_is_delivered_again(home: Path, ending: str) -> None:
    (home.parent / "config.toml").write_text('[monitor]\nautostart = false\nbusy_retry = "10ms"\nretries = ["10ms"]\n')
    homing = Homing()
    job = finished(homing)

    async def leave() -> None:
        async with homing.wakes() as stream:
            async for _wake in stream:
                if ending == "exception":
                    raise RuntimeError("a bug of the host")
                if ending == "cancelled":
                    await asyncio.sleep(3600)
                return

    async def main() -> None:
        task = asyncio.create_task(leave())
        if ending == "cancelled":
            await asyncio.to_thread(wait_until, taken, "it is claimed")
            task.cancel()
        with suppress(asyncio.CancelledError, RuntimeError):
            await task
        async with homing.wakes() as stream:
            wake = await anext(stream)
            assert job_ids([wake]) == [job.id]
            await wake.acknowledge()

    def taken() -> list[object]:
        return [one for one in gc.get_objects() if isinstance(one, Wake)]

    run(main())
    assert notified(homing, job)


def test_an_exception_in_the_block_fails_the_attempt(home: Path) -> None:
    homing = Homing()
    job = finished(homing)

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with homing.wakes() as wakes:
                async for _ in wakes:
                    raise ZeroDivisionError("the agent")
        follow_up = homing.get(job).follow_up
        assert (follow_up.state, follow_up.attempts) == ("pending", 1)
        assert follow_up.last_error == "ZeroDivisionError: the agent"

    run(main())


def test_a_timeout_of_zero_is_refused(home: Path) -> None:
    with pytest.raises(InvalidRequest):
        Homing().wakes(timeout=0)


def test_cancelled_consumers_lose_no_wake(home: Path) -> None:
    (home.parent / "config.toml").write_text(
        '[monitor]\nautostart = false\nbusy_retry = "10ms"\nbatch_window = "0s"\nwakes_per_hour = 1000000\n'
    )
    homing = Homing()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    jobs: list[Job] = []
    received: Counter[str] = Counter()

    async def consume(stream: WakeStream) -> None:
        async for wake in stream:
            await asyncio.sleep(0)
            # An acknowledgement that has begun is not cancelled.
            await asyncio.shield(wake.acknowledge())
            received.update(job.id for job in wake.jobs)

    async def main() -> None:
        async with homing.wakes() as keeper:
            for number in range(40):
                streams = [homing.wakes() for _ in range(3)]
                consumers = [asyncio.create_task(consume(stream)) for stream in streams]
                jobs.append(await asyncio.to_thread(homing.launch, "true", session=f"chat-{number % 5}"))
                for consumer in consumers:
                    await asyncio.sleep(chance.uniform(0, 0.01))
                    consumer.cancel()
                await asyncio.gather(*consumers, return_exceptions=True)
                for stream in streams:
                    await stream.aclose()
            last = asyncio.create_task(consume(keeper))
            await asyncio.to_thread(wait_until, lambda: notified(homing, *jobs), "all are notified")
            last.cancel()

    run(main())
    assert max(received.values()) == 1


def test_repeated_waits_with_a_timeout_leave_no_claimant(home: Path) -> None:
    homing = Homing()

    async def main() -> None:
        async with homing.wakes() as stream:
            for _ in range(200):
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.001)
            assert len(stream._dispatcher._claimants) <= 1
            job = await asyncio.to_thread(finished, homing)
            await (await anext(stream)).acknowledge()
            assert notified(homing, job)

    run(main())


def test_consumers_share_the_wakes_and_a_session_has_one_at_a_time(home: Path) -> None:
    homing = Homing()
    active: Counter[str] = Counter()
    received: Counter[str] = Counter()
    consumers_of: Counter[int] = Counter()

    async def consume(number: int) -> None:
        async for wake in homing.wakes():
            active[wake.session] += 1
            assert active[wake.session] == 1
            await asyncio.sleep(0.02)
            active[wake.session] -= 1
            received.update(job.id for job in wake.jobs)
            consumers_of[number] += 1
            await wake.acknowledge()

    async def main() -> None:
        consumers = [asyncio.create_task(consume(number)) for number in range(4)]
        jobs = [await asyncio.to_thread(homing.launch, "true", session=f"chat-{n % 8}") for n in range(24)]
        await asyncio.to_thread(wait_until, lambda: notified(homing, *jobs), "all are notified")
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        assert received == {job.id: 1 for job in jobs}
        assert len(consumers_of) > 1

    run(main())


def test_a_session_that_is_free_before_its_busy_answer_is_notified(home: Path) -> None:
    homing = Homing()
    job = finished(homing)

    async def main() -> None:
        async with homing.wakes() as stream:
            wake = await anext(stream)
            # The turn ends before the answer arrives.
            homing.session_is_free(wake.session)
            await wake.busy()
            again = await anext(stream)
            assert (again.id, again.attempt) == (wake.id, 1)
            await again.busy()
            homing.session_is_free(wake.session)
            await (await anext(stream)).acknowledge()

    run(main())
    assert notified(homing, job)


def test_each_answer_has_its_effect(home: Path) -> None:
    homing = Homing()
    sessions = ("handed_off", "gone", "failed", "busy")
    jobs = {session: finished(homing, session) for session in sessions}

    async def main() -> None:
        async with homing.wakes() as stream:
            for _ in sessions:
                wake = await anext(stream)
                if wake.session == "handed_off":
                    await wake.hand_off()
                elif wake.session == "gone":
                    await wake.gone()
                elif wake.session == "failed":
                    await wake.failed("no network")
                else:
                    await wake.busy(3600)

    run(main())
    found = {session: homing.get(job).follow_up for session, job in jobs.items()}
    assert {session: (one.state, one.attempts) for session, one in found.items()} == {
        "handed_off": ("handed_off", 1),
        "gone": ("dead", 1),
        "failed": ("pending", 1),
        "busy": ("pending", 0),
    }
    assert found["failed"].last_error == "no network"


def test_a_second_answer_changes_nothing(home: Path) -> None:
    homing = Homing()
    jobs = [finished(homing, "chat-1"), finished(homing, "chat-2")]

    async def main() -> None:
        async with homing.wakes() as stream:
            for _ in jobs:
                wake = await anext(stream)
                await wake.acknowledge()
                await wake.acknowledge()
                await wake.busy()
                await wake.failed("too late")
                await asyncio.gather(wake.gone(), wake.acknowledge(), wake.hand_off())

    run(main())
    assert notified(homing, *jobs)


def test_a_timed_out_wake_fails_and_can_be_acknowledged_late(home: Path) -> None:
    homing = Homing()
    job = finished(homing)

    async def main() -> None:
        async with homing.wakes(timeout=0.05) as stream:
            wake = await anext(stream)
            await asyncio.to_thread(wait_until, lambda: homing.get(job).follow_up.attempts == 1, "it has failed")
            assert "no answer" in (homing.get(job).follow_up.last_error or "")
            await wake.failed("too late to fail")
            assert homing.get(job).follow_up.attempts == 1
            await wake.acknowledge()
            assert notified(homing, job)

    run(main())


def test_a_late_acknowledgement_of_a_pruned_job_is_ignored(home: Path) -> None:
    homing = Homing()
    job = finished(homing)

    async def main() -> None:
        async with homing.wakes(timeout=0.05) as stream:
            wake = await anext(stream)
            await asyncio.to_thread(wait_until, lambda: homing.get(job).follow_up.attempts == 1, "it has failed")
            homing.drop_follow_ups(job)
            assert homing.prune(0) == [job.id]
            await wake.acknowledge()

    run(main())


def test_two_patterns_or_two_event_loops_are_refused(home: Path) -> None:
    homing = Homing()

    async def main() -> None:
        async with homing.wakes("chat-*"):
            with pytest.raises(InvalidRequest, match="one pattern"):
                homing.wakes("other-*")

            async def elsewhere() -> None:
                with pytest.raises(InvalidRequest, match="one event loop"):
                    await anext(homing.wakes("chat-*"))

            await asyncio.to_thread(asyncio.run, elsewhere())

    run(main())


def test_wakes_of_other_sessions_stay_pending(home: Path) -> None:
    homing = Homing()
    mine, others = finished(homing, "chat-1"), finished(homing, "other-1")

    async def main() -> None:
        async with homing.wakes("chat-*") as stream:
            wake = await anext(stream)
            assert wake.session == "chat-1"
            await wake.acknowledge()

    run(main())
    assert notified(homing, mine) and homing.get(others).follow_up.state == "pending"
