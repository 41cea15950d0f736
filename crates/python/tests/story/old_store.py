"""A store in the format of the seed: its records, and the processes of running jobs."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from conftest import DEADLINE, wait_until

Record = dict[str, Any]

WRAPPER = "bash {files}/{id}.cmd.sh > {files}/{id}.log 2>&1\necho $? > {files}/{id}.exit\n"


class OldStore:
    """`bg_jobs.json` of a data directory, and its jobs."""

    def __init__(self, data: Path, environment: dict[str, str]) -> None:
        self.path = data / "bg_jobs.json"
        self.files = data / "bg_jobs"
        self.files.mkdir(parents=True)
        self.records: dict[str, Record] = {}
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def add(self, **changes: Any) -> Record:
        """Adds a record; by default of a finished job with a pending follow-up."""
        id = f"{len(self.records):012x}"
        now = time.time()
        record = {
            "id": id,
            "session_id": "chat-1",
            "command": "make",
            "status": "done",
            "pid": 4_000_000,
            # Increasing times: lists are in the order of launch.
            "started_at": now - 60 + len(self.records) / 100,
            "ended_at": now - 30,
            "exit_code": 0,
            "max_runtime_s": 3600,
            "followed_up": False,
            "log_path": str(self.files / f"{id}.log"),
            "exit_path": str(self.files / f"{id}.exit"),
            **changes,
        }
        self.records[id] = record
        self.save()
        return record

    def add_running(self, **changes: Any) -> Record:
        """Adds a record of a running job without a process."""
        return self.add(**{"status": "running", "ended_at": None, "exit_code": None, **changes})

    def start(self, command: str, wrapper: str = WRAPPER, **changes: Any) -> Record:
        """Starts a job as the seed does: a wrapper in its own session, which records the end of its child."""
        record = self.add_running(command=command, started_at=time.time(), **changes)
        id = record["id"]
        (self.files / f"{id}.cmd.sh").write_text(command + "\n")
        (self.files / f"{id}.sh").write_text(wrapper.format(files=self.files, id=id))
        process = subprocess.Popen(
            ["bash", str(self.files / f"{id}.sh")],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes[id] = process
        record["pid"] = process.pid
        self.save()
        # From here on its command line identifies it.
        wait_until(lambda: (self.files / f"{id}.log").exists(), "the command runs")
        return record

    def log(self, record: Record, output: bytes) -> None:
        """Writes the output of a job."""
        (self.files / f"{record['id']}.log").write_bytes(output)

    def save(self) -> None:
        self.path.write_text(json.dumps(self.records, indent=2))

    def wait(self, record: Record) -> None:
        """Waits for the end of a job that was started."""
        self._processes[record["id"]].wait(timeout=DEADLINE)

    def kill_wrapper(self, record: Record) -> None:
        """Ends the wrapper of a job and nothing else, as an out-of-memory killer does."""
        self._processes[record["id"]].kill()
        self.wait(record)

    def close(self) -> None:
        """Reaps the jobs that have ended and ends the others."""
        for process in self._processes.values():
            process.kill()
            process.wait(timeout=DEADLINE)
