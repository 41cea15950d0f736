"""Commands that every system runs: Python programs, without a shell."""

from __future__ import annotations

import sys
from pathlib import Path

UNTIL = """
import os, sys, time
def until(path):
    while not os.path.exists(path):
        time.sleep(0.01)
"""


def python(code: str, *arguments: object) -> list[str]:
    """A command that runs this code. `until(PATH)` in it waits for a file; `sys.argv[1:]` are the arguments."""
    return [sys.executable, "-c", UNTIL + code, *map(str, arguments)]


def waits_for(path: Path) -> list[str]:
    """A command that runs until a file exists, and then prints a line."""
    return python("until(sys.argv[1]); print('late')", path)
