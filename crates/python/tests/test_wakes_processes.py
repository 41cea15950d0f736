"""Several processes consume the wakes of one home and are killed. Each session is notified in every case."""

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
from waking import DEADLINE, finished, notified, run

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


def test_the_successor_of_a_killed_process_gets_the_same_wake(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    first = host("hang")
    job = finished(homing)
    wake_id, *jobs = first.line().split()
    assert jobs == [job.id]

    async def main() -> None:
        async with homing.wakes() as stream:
            waiting = asyncio.create_task(anext(stream))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done, "two processes have the same wake"
            first.end()
            wake = await waiting
            # The progress of the attempt that ended with the process is unknown.
            assert (wake.id, wake.attempt) == (wake_id, 2)
            await wake.acknowledge()

    run(main())
    assert notified(homing, job)


def test_processes_killed_in_turn_lose_no_wake(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    chance = random.Random()
    jobs = []
    hosts = [host(), host()]
    for number in range(12):
        jobs.append(homing.launch("true", session=f"chat-{number % 3}"))
        time.sleep(chance.uniform(0, 0.02))
        hosts.pop(0).end()
        hosts.append(host())
    wait_until(lambda: notified(homing, *jobs), "all are notified")
    for one in hosts:
        one.end()


def test_ctrl_c_hands_back_wakes_and_exits_at_once(home: Path, host: Callable[..., Host]) -> None:
    homing = Homing()
    first = host("hang")
    job = finished(homing)
    first.line()
    begin = time.monotonic()
    assert first.end(signal.SIGINT) == -signal.SIGINT
    assert time.monotonic() - begin < 4
    follow_up = homing.get(job).follow_up
    assert (follow_up.state, follow_up.attempts) == ("pending", 0)
    homing.acknowledge(job)


HOST_WITH_A_CHILD = """
import asyncio, os, signal, threading
from homing import Homing

async def main():
    homing = Homing()
    job = homing.launch("sleep 600", session="chat-2")
    threading.Thread(target=job.wait, kwargs={"acknowledge": True}, daemon=True).start()
    async with homing.wakes() as wakes:
        while homing._home.active_monitor() is None:
            await asyncio.sleep(0.01)
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            signal.pause()
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_a_child_that_survives_its_parent_keeps_none_of_its_locks(home: Path) -> None:
    homing = Homing()
    parent = subprocess.Popen([sys.executable, "-c", HOST_WITH_A_CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        held = {os.readlink(file) for file in Path(f"/proc/{child}/fd").iterdir()}
        assert not {path for path in held if path.startswith(f"{home}/") and not path.startswith(f"{home}/ledger.db")}
        assert homing._home.active_monitor() == parent.pid, "the parent keeps the files that a child closes"
        parent.kill()
        parent.wait()
        job = finished(homing)

        async def consume() -> None:
            async with homing.wakes() as stream:
                await (await anext(stream)).acknowledge()

        run(consume())
        assert notified(homing, job)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.kill()
        parent.communicate()
    for left in homing.list(state="running"):
        left.kill()


def test_a_forked_child_consumes_its_own_wakes(home: Path) -> None:
    homing = Homing()
    job = finished(homing)

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
    assert notified(homing, job)
