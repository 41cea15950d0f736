"""Fixtures of all tests: a temporary home, and the check that no process of it is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from homing import Homing

# A script ignores SIGINT for background commands, and programs that the tests start would inherit that (signal(7)).
signal.signal(signal.SIGINT, signal.default_int_handler)

DEADLINE = 60.0
"""Timeout of waits in seconds. Much longer than needed, for slow machines."""

SETTINGS = """\
[monitor]
autostart = false
batch_window = "0s"
busy_retry = "1h"
wakes_per_hour = 1000000
"""
"""No wake is retried by time alone: a busy session is retried only after `session_is_free`."""

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
        help="the folder of the bg_jobs.py that homing.bg_jobs replaces, to run the story against it too; "
        "or the environment variable HOMING_SEED",
    )


def wait_until(condition: Callable[[], Found], what: str, within: float = DEADLINE) -> Found:
    """Waits for a condition, and returns what it found."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"timed out after {within:g} s: {what}"
        time.sleep(0.01)
    return found


def processes_of(home: Path) -> dict[int, str]:
    """The processes with this home in their environment: jobs, their processes and their supervisors."""
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


def home_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `Homing()` open a home in a folder."""
    home = tmp_path / "home"
    (tmp_path / "config.toml").write_text(SETTINGS)
    monkeypatch.setenv("HOMING_HOME", str(home))
    monkeypatch.setenv("HOMING_CONFIG", str(tmp_path / "config.toml"))
    # These tests may run inside a job or an agent.
    for variable in ("HOMING_SESSION", "HOMING_JOB", "HOMING_HARNESS", "HOMING_WAKE", *HARNESS_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that `Homing()` opens. The test fails if it leaves a process behind."""
    home = home_in(tmp_path, monkeypatch)
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
    """The open home. Kills the jobs that still run at the end of the test."""
    homing = Homing(home)
    yield homing
    for job in [*homing.list(state="running"), *homing.list(state="starting")]:
        job.kill()
