"""Several processes that consume the wakes of one home, and are killed. Whatever happens, each session is told."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import wait_until
from homing import Homing
from waking import DEADLINE, over, run, told

HOST = """
import asyncio, sys
from homing import Homing

async def main():
    homing = Homing()
    async with homing.wakes() as wakes:
        print("ready", flush=True)
        async for wake in wakes:
            print(wake.id, *(job.id for job in wake.jobs), flush=True)
            if "hang" in sys.argv:
                await asyncio.sleep(3600)
            await wake.acknowledge()

asyncio.run(main())
"""


class Host:
    """Another process that consumes the wakes of the home."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOST, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.line() == "ready\n"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, by: signal.Signals = signal.SIGKILL) -> int:
        self.process.send_signal(by)
        self.process.communicate(timeout=DEADLINE)
        return self.process.returncode


@pytest.fixture
def host(home: Path, request: pytest.FixtureRequest) -> Callable[..., Host]:
    def start(*arguments: str) -> Host:
        host = Host(*arguments)
        request.addfinalizer(lambda: host.process.poll() is None and host.end())
        return host

    return start


def test_who_takes_over_from_a_killed_process_gets_the_same_wake(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    first = host("hang")
    job = over(homing)
    wake_id, *jobs = first.line().split()
    assert jobs == [job.id]

    async def main() -> None:
        async with homing.wakes() as stream:
            waiting = asyncio.create_task(anext(stream))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done, "two processes have the same wake"
            first.end()
            wake = await waiting
            # Nobody knows how far the attempt had come that ended with the process.
            assert (wake.id, wake.attempt) == (wake_id, 2)
            await wake.acknowledge()

    run(main())
    assert told(homing, job)


def test_processes_that_are_killed_in_turn_lose_nothing(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    chance = random.Random()
    jobs = []
    hosts = [host(), host()]
    for number in range(12):
        jobs.append(homing.launch("true", session=f"chat-{number % 3}"))
        time.sleep(chance.uniform(0, 0.02))
        hosts.pop(0).end()
        hosts.append(host())
    wait_until(lambda: told(homing, *jobs), "all are told")
    for one in hosts:
        one.end()


def test_ctrl_c_hands_back_and_ends_at_once(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    first = host("hang")
    job = over(homing)
    first.line()
    begin = time.monotonic()
    assert first.end(signal.SIGINT) == -signal.SIGINT
    assert time.monotonic() - begin < 4
    follow_up = homing.get(job).follow_up
    assert (follow_up.state, follow_up.attempts) == ("pending", 0)
    homing.acknowledge(job)


def test_a_child_made_by_fork_has_wakes_of_its_own(home: Path) -> None:
    homing = Homing()
    job = over(homing)

    async def consume() -> None:
        async with homing.wakes() as stream:
            await (await anext(stream)).acknowledge()

    async def open_and_close() -> None:
        async with homing.wakes():
            pass

    run(open_and_close())
    pid = os.fork()
    if pid == 0:
        try:
            run(consume())
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert told(homing, job)
