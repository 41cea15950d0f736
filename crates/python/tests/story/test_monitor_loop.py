"""The monitor loop of the examples, with an agent that stores the texts it receives."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DEADLINE, wait_until

from story.backend import Backend

MONITOR_LOOP = Path(__file__).resolve().parents[4] / "examples" / "python" / "monitor_loop.py"

# Exits with the status in the file `exit-SESSION` and stores every attempt in its own file, so that none is incomplete.
AGENT = """
import json, os, sys, uuid
session, text = os.environ["HOMING_SESSION"], sys.stdin.read()
try:
    status = int(open(f"exit-{session}").read())
except FileNotFoundError:
    status = 0
note = uuid.uuid4().hex
with open(f"{note}.new", "w") as file:
    json.dump([session, text, status], file)
os.rename(f"{note}.new", f"{note}.note")
sys.exit(status)
"""

Attempts = list[tuple[str, str, int]]


class Loop:
    """The monitor loop as an application runs it: a process that may die at any moment."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.notes = backend.folder / "notes"
        self.notes.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(MONITOR_LOOP), sys.executable, "-c", AGENT],
            env={**self.backend.environment, "MONITOR_INTERVAL_S": "0.02"},
            cwd=self.notes,
            stderr=subprocess.PIPE,
        )

    def kill(self) -> str:
        """Kills it, like a crash. Returns its standard error."""
        assert self._process is not None
        self._process.kill()
        return self._process.communicate(timeout=DEADLINE)[1].decode()

    def answer_with(self, session: str, status: int | None) -> None:
        """Sets the exit status of the agent of a session; `None` resets it."""
        path = self.notes / f"exit-{session}"
        if status is None:
            path.unlink()
            return
        new = path.with_suffix(".new")
        new.write_text(str(status))
        new.rename(path)

    def attempts(self, session: str | None = None) -> Attempts:
        """The attempts of all agents: session, text and exit status."""
        notes: Attempts = [tuple(json.loads(note.read_text())) for note in self.notes.glob("*.note")]
        return [note for note in notes if session in (None, note[0])]

    def due(self) -> int:
        return int(self.backend.run("answer(len(bg_jobs.pending_followups()))"))


@pytest.fixture
def loop(drop_in: Backend) -> Iterator[Loop]:
    loop = Loop(drop_in)
    loop.start()
    yield loop
    loop.kill()


def launch(loop: Loop, session: str, command: str = "true") -> str:
    """Launches a job whose output names its session."""
    code = f"answer(bg_jobs.launch('echo for {session}.; {command}', {session!r})['id'])"
    return str(loop.backend.run(code))


def test_every_session_is_notified_once(loop: Loop) -> None:
    for number in range(6):
        launch(loop, f"chat-{number % 3}", f"exit {number}")
    wait_until(lambda: len(loop.attempts()) == 6 and loop.due() == 0, "all are notified")
    assert Counter(session for session, _, _ in loop.attempts()) == {"chat-0": 2, "chat-1": 2, "chat-2": 2}
    for number in range(6):
        session = f"chat-{number % 3}"
        texts = [text for _, text, _ in loop.attempts(session)]
        head = f"Background job finished with exit code {number}.\nCommand: echo for {session}.; exit {number}\n"
        assert sum(text == f"{head}\nOutput:\nfor {session}.\n" for text in texts) == 1


@pytest.mark.parametrize("status", [75, 1], ids=["busy", "failing"])
def test_a_busy_agent_is_notified_later_and_delays_no_other(loop: Loop, status: int) -> None:
    loop.answer_with("chat-1", status)
    launch(loop, "chat-1")
    wait_until(lambda: len(loop.attempts("chat-1")) >= 2, "it is tried again")
    launch(loop, "chat-2")
    wait_until(lambda: loop.attempts("chat-2"), "the other session is notified")
    assert loop.due() == 1
    loop.answer_with("chat-1", None)
    wait_until(lambda: loop.due() == 0, "it is finally notified")
    assert Counter(one for _, _, one in loop.attempts("chat-1"))[0] == 1


def test_a_session_that_is_gone_is_not_notified_again(loop: Loop) -> None:
    loop.answer_with("chat-1", 69)
    launch(loop, "chat-1")
    wait_until(lambda: loop.attempts("chat-1"), "the agent is asked")
    wait_until(lambda: loop.due() == 0, "the job is marked")
    assert len(loop.attempts("chat-1")) == 1


def test_a_failing_agent_is_reported(loop: Loop) -> None:
    loop.answer_with("chat-1", 3)
    id = launch(loop, "chat-1")
    wait_until(lambda: len(loop.attempts()) >= 2, "it is tried again")
    assert f"job {id}: the agent failed with 3" in loop.kill()


def test_a_loop_that_is_killed_repeatedly_loses_nothing(loop: Loop) -> None:
    code = """
    for number in range(30):
        session = f"chat-{number % 7}"
        bg_jobs.launch(f"sleep 0.{number:02}; echo for {session}. number {number}.", session)
    """
    loop.backend.run(code)
    chance, kills = random.Random(), 0
    while loop.due() or kills < 8:
        time.sleep(chance.uniform(0, 0.3))
        loop.kill()
        kills += 1
        loop.start()

    def completed() -> list[tuple[str, str]]:
        # An attempt without a text died with its loop and does not count.
        return [(session, text) for session, text, _ in loop.attempts() if text]

    # The agent of a loop that was killed may still be writing.
    wait_until(lambda: len({text for _, text in completed()}) == 30, "all 30 are notified")
    for number in range(30):
        session = f"chat-{number % 7}"
        statuses = [one for one, text in completed() if text.endswith(f"Output:\nfor {session}. number {number}.\n")]
        # Perhaps twice: where the loop died between the agent's turn and the mark.
        assert statuses and set(statuses) == {session}
    assert all(f"for {session}. " in text for session, text in completed())
