"""`homing.bg_jobs` in a process of its own, each time with a data directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

OVER = "\ndef over(r):\n    while bg_jobs.get(r['id'])['status'] == 'running': pass\n    return bg_jobs.get(r['id'])\n"


def run(data: Path, code: str) -> str:
    program = "from homing import bg_jobs" + OVER + code
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "DATA_DIR": str(data)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_result_reads_as_callers_know_it(tmp_path: Path) -> None:
    said = run(tmp_path, "print(bg_jobs.result_text(over(bg_jobs.launch('echo hi; exit 3', 'chat-1'))))")
    assert said == "Background job finished with exit code 3.\nCommand: echo hi; exit 3\n\nOutput:\nhi\n\n"


def test_eight_processes_that_launch_at_once_keep_every_record(tmp_path: Path) -> None:
    code = "from homing import bg_jobs\nfor _ in range(25): bg_jobs.launch('true', 's')"
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    launchers = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(8)]
    assert [launcher.wait() for launcher in launchers] == [0] * 8
    assert run(tmp_path, "print(len([over(r) for r in bg_jobs.refresh().values()]))") == "200\n"


def test_an_old_store_is_taken_over_and_left_as_it_is(tmp_path: Path) -> None:
    record = {"id": "0123456789ab", "session_id": "chat-1", "command": "make", "status": "failed", "pid": 4242,
              "started_at": 1.0, "ended_at": 2.5, "exit_code": 3, "max_runtime_s": 60, "followed_up": False}
    store = tmp_path / "bg_jobs.json"
    store.write_text(json.dumps({"0123456789ab": record}))
    before = store.read_bytes()
    seen = json.loads(run(tmp_path, "import json; print(json.dumps(bg_jobs.pending_followups()))"))
    assert [{key: one[key] for key in record} for one in seen] == [record]
    assert store.read_bytes() == before
