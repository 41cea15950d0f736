"""Polls for finished jobs with `homing.bg_jobs`, and runs an agent in their sessions.

    python examples/python/monitor_loop.py AGENT [ARGUMENT...]

The agent gets the session in `HOMING_SESSION` and the result on standard input. It exits with 0 when it has processed the
result, with 75 if the session is busy, and with 69 if the session no longer exists.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from homing import bg_jobs

INTERVAL_S = float(os.environ.get("MONITOR_INTERVAL_S", "5"))
BUSY, GONE = 75, 69


def follow_up(agent: list[str], record: dict[str, Any]) -> None:
    """Delivers the result of one job to its session. The next poll repeats it unless it is marked."""
    environment = {**os.environ, "HOMING_SESSION": str(record["session_id"])}
    turn = subprocess.run(agent, input=bg_jobs.result_text(record), text=True, env=environment, check=False)
    if turn.returncode in (0, GONE):
        bg_jobs.mark_followed_up(record["id"])
    elif turn.returncode != BUSY:
        print(f"job {record['id']}: the agent failed with {turn.returncode}", file=sys.stderr)


def main(agent: list[str]) -> None:
    while True:
        for record in bg_jobs.pending_followups():
            follow_up(agent, record)
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: monitor_loop.py AGENT [ARGUMENT...]")
    main(sys.argv[1:])
