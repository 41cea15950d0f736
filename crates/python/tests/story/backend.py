"""A `bg_jobs` module under test: programs that use it, their data, and their processes.

Both modules read `DATA_DIR` when they are imported, so every caller runs in its own process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from conftest import DEADLINE, processes_with, wait_until

HOMING = """
from homing import bg_jobs

def wait_for_end(record):
    while bg_jobs.get(record["id"])["status"] == "running":
        time.sleep(0.01)

def keep_for(seconds):
    import homing._bg_store
    homing._bg_store.RETENTION_MS = int(seconds * 1000)
"""

# The seed treats an empty exit file as a failure, so no program polls before there is a code.
SEED = """
sys.path.insert(0, os.environ["STORY_SEED"])
import bg_jobs

def wait_for_end(record):
    while not (os.path.exists(record["exit_path"]) and os.path.getsize(record["exit_path"])):
        time.sleep(0.01)

def keep_for(seconds):
    bg_jobs._RETENTION_S = seconds
"""

PROGRAM = """
import json, os, sys, time, warnings
{backend}
def ended(record):
    "Waits until a job has ended, and returns its record."
    wait_for_end(record)
    return bg_jobs.get(record["id"])

def answer(value):
    print(json.dumps(value), flush=True)

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)

{code}
"""


class ProgramFailed(Exception):
    """A program of a test failed unexpectedly."""


class Backend:
    """One of the two modules, with its own data directory."""

    def __init__(self, folder: Path, seed: Path | None) -> None:
        self.is_seed = seed is not None
        self.folder = folder
        self.data = folder / "data"
        self.mark = f"STORY_MARK={folder}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMING_")}
        self.environment = {**kept, "DATA_DIR": str(self.data), "STORY_SEED": str(seed), "STORY_MARK": str(folder)}

    def start(self, code: str) -> subprocess.Popen[str]:
        """Starts a program that uses `bg_jobs`. Its calls of `answer` print lines on standard output."""
        program = PROGRAM.format(backend=SEED if self.is_seed else HOMING, code=dedent(code))
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> Any:
        """Runs a program that uses `bg_jobs`, to its end. Returns its last `answer`."""
        return answer_of(self.start(code))

    def until(self, path: str) -> str:
        """A command that waits for a file in the folder of the test."""
        return f'until [ -e "$STORY_MARK/{path}" ]; do sleep 0.01; done'

    def touch(self, path: str) -> None:
        """Creates a file in the folder of the test, which ends waits for it."""
        (self.folder / path).touch()

    def processes(self) -> dict[int, str]:
        """The live processes of this test: jobs, their processes, supervisors and hosts."""
        return processes_with(self.mark)

    def end_processes(self) -> dict[int, str]:
        """Ends the live processes of this test and returns them."""
        ended: dict[int, str] = {}
        while left := self.processes():
            ended.update(left)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return ended

    def has_no_processes(self) -> bool:
        """Whether no process of this test is alive, now or shortly later."""
        # Processes that the seed leaves behind never end by themselves, so there is no need to wait.
        timeout = 3 if self.is_seed else 20
        try:
            wait_until(lambda: not self.processes(), "every process is gone", within=timeout)
        except AssertionError:
            return False
        return True

    def recorder_of(self, record: dict[str, Any]) -> int:
        """The process that records the end of a job."""
        pid = int(record["pid"])
        return pid if self.is_seed else parent_of(pid)


def answer_of(program: subprocess.Popen[str]) -> Any:
    """The last answer of a program, when it has ended."""
    output, errors = program.communicate(timeout=DEADLINE)
    if program.returncode != 0:
        raise ProgramFailed(errors)
    return json.loads(output.splitlines()[-1]) if output else None


def line_of(program: subprocess.Popen[str]) -> Any:
    """The next answer of a program that runs."""
    assert program.stdout is not None
    line = program.stdout.readline()
    if not line:
        raise ProgramFailed(program.communicate(timeout=DEADLINE)[1])
    return json.loads(line)


def kill(program: subprocess.Popen[str]) -> None:
    """Ends a program as a crash does."""
    program.kill()
    program.communicate(timeout=DEADLINE)


def parent_of(pid: int) -> int:
    return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
