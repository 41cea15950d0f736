"""Type checks of the package, its examples, and a program that uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"

# Each of these returns a list with typed elements.
PROGRAM = """
from homing import Homing, Job

homing = Homing()
jobs: list[Job] = [
    *homing.list(),
    *homing.follow_ups(),
    *homing.wait("a"),
    *homing.acknowledge("a"),
    *homing.retry("a"),
    *homing.drop_follow_ups("a"),
    homing.launch("true").wait(),
]
ids: list[str] = homing.prune(1)
events: list[str] = [event.type for page in homing.follow_events("oldest", session="chat-1") for event in page.events]
next: str = homing.events().next
findings: list[object] = [one["name"] for one in homing.doctor()]

async def wake() -> None:
    found: list[Job] = await homing.wait_async("a")
    async with homing.wakes() as wakes:
        async for wake in wakes:
            found += wake.jobs
"""


def check(*arguments: str, folder: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / ".mypy_cache"), *arguments]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_package_is_typed(tmp_path: Path) -> None:
    check("-p", "homing", folder=tmp_path)


def test_a_program_sees_the_types(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    check("program.py", folder=tmp_path)


@pytest.mark.parametrize("example", ["chat_app", "monitor_loop.py"])
def test_the_examples_are_typed(example: str, tmp_path: Path) -> None:
    check(str(EXAMPLES / example), folder=tmp_path)
