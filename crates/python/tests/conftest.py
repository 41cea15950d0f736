"""What every test may use: a home of its own, and the proof that nothing of it is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from homing import Homing

# In the background of a script Ctrl-C is ignored, and so it would be by every program that the tests start (signal(7)).
signal.signal(signal.SIGINT, signal.default_int_handler)

DEADLINE = 60.0
"""Seconds after which what is waited for counts as lost. Far more than it takes: machines are slow at times."""

SETTINGS = """\
[monitor]
autostart = false
gather = "0s"
busy_retry = "1h"
wakes_per_hour = 1000000
"""
"""Nothing is told by the mere passing of time: who was busy hears again only when somebody says that it is free."""

HARNESS_VARIABLES = (
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_THREAD_ID",
    "AGENT_SESSION_ID",
    "GEMINI_SESSION_ID",
    "LETTA_CONVERSATION_ID",
)

Found = TypeVar("Found")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed",
        default=os.environ.get("HOMING_SEED"),
        metavar="FOLDER",
        help="the folder of the bg_jobs.py that homing.bg_jobs takes the place of, to run the story against it too; "
        "or the environment variable HOMING_SEED",
    )


def wait_until(condition: Callable[[], Found], what: str, within: float = DEADLINE) -> Found:
    """Waits for a condition, and returns what it found."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s in vain: {what}"
        time.sleep(0.01)
    return found


def processes_of(home: Path) -> dict[int, str]:
    """The processes with this home in their environment: jobs, what they started, and who looks after them."""
    return processes_with(f"HOMING_HOME={home}")


def processes_with(variable: str) -> dict[int, str]:
    """The processes with this variable, `NAME=VALUE`, in their environment, and their command lines."""
    mark, found = variable.encode(), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            has_ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            if not has_ended and mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that `Homing()` opens. Fails the test that leaves a process behind."""
    home = tmp_path / "home"
    (tmp_path / "config.toml").write_text(SETTINGS)
    monkeypatch.setenv("HOMING_HOME", str(home))
    monkeypatch.setenv("HOMING_CONFIG", str(tmp_path / "config.toml"))
    # These tests may themselves run in a job, or in an agent.
    for variable in ("HOMING_SESSION", "HOMING_JOB", "HOMING_HARNESS", "HOMING_WAKE", *HARNESS_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    yield home
    left: dict[int, str] = {}
    try:
        wait_until(lambda: not processes_of(home), "every process of the home is gone", within=20)
    except AssertionError:
        left = processes_of(home)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


@pytest.fixture
def homing(home: Path) -> Iterator[Homing]:
    """The home, open. What still runs in it at the end is ended."""
    homing = Homing(home)
    yield homing
    for job in [*homing.list(state="running"), *homing.list(state="starting")]:
        job.kill()
