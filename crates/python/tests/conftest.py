"""What the tests share: a home that proves at its end that nothing of it survived."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homing import Homing

DEADLINE = 60.0
"""Seconds after which what is waited for counts as lost. Far more than it takes: machines are slow at times."""


def wait_until(what: str, holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    give_up_at = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < give_up_at, f"waited {DEADLINE:g} s in vain until {what}"
        time.sleep(0.01)


def processes_of(home: Path) -> list[int]:
    """The processes that belong to jobs of this home: they carry it in their environment."""
    mark = f"HOMING_TEST_HOME={home}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
            has_ended = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            continue
        if mark in environment.split(b"\0") and not has_ended:
            found.append(int(entry.name))
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a home can be made. Whatever is started meanwhile can be told from everything else by its environment."""
    home = tmp_path / "home"
    for name in [name for name in os.environ if name.startswith("HOMING_") and name != "HOMING_SUPERVISOR"]:
        monkeypatch.delenv(name)
    for name in ("CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID", "AGENT_SESSION_ID", "GEMINI_SESSION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOMING_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("HOMING_TEST_HOME", str(home))
    yield home
    if home.exists():
        homing = Homing(home)
        for job in [*homing.list(state="running"), *homing.list(state="starting")]:
            job.kill()
    wait_until("nothing of the home is left", lambda: not processes_of(home))


@pytest.fixture
def homing(home: Path) -> Homing:
    return Homing(home)
