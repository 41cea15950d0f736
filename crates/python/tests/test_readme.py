"""The examples of README.md run unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DEADLINE

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(number: int, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_HOME", str(home))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[number]], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0
    expected = ["exited 3\nhello\n", "built", "job.finished", "done"][number]
    assert expected in done.stdout


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 4
