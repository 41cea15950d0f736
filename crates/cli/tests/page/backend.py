"""The servers that the tests of the page run against: the stand-in, or a real `homing serve`.

HOMING_PAGE_SERVER names a homing program with `serve`. Without it, tests use the stand-in, which can also show states
that a real server reaches only after minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import mock

PROGRAM = os.environ.get("HOMING_PAGE_SERVER")
DEADLINE = 20


def until(condition, what: str, deadline: float = DEADLINE):
    """Waits until the condition holds, and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {deadline} s: {what}")
        time.sleep(0.02)


class StandIn:
    """The stand-in, in this process."""

    is_real = False

    def __init__(self, **options) -> None:
        self.mock = mock.Mock(**options)
        self.mock.sinks = []
        self.mock.start()
        self.token = mock.TOKEN

    @property
    def url(self) -> str:
        return self.mock.url

    def launch(self, command: str, session: str = "default", name: str | None = None) -> str:
        return self.mock.launch({"command": command, "session": session, "name": name}, None)[1]["id"]

    def job(self, id: str) -> dict:
        return self.mock.jobs[id]

    def print(self, data: bytes, session: str = "default") -> str:
        """A finished job with this output."""
        return self.mock.add("cat hostile", took=1, exit_code=0, session=session, output=data)["id"]

    def kill(self) -> None:
        self.mock.kill()

    def restart(self) -> None:
        self.mock.start()

    def close(self) -> None:
        for id in list(self.mock.jobs):
            self.mock.killed.add(id)
        if not self.mock.stopping:
            self.mock.kill()


class Real:
    """`homing serve` in a home of its own."""

    is_real = True

    def __init__(self) -> None:
        self.home = tempfile.mkdtemp(prefix="homing-page-")
        # No sink: every result needs attention.
        self.config = Path(self.home).with_suffix(".toml")
        self.config.touch()
        self.port = 0
        self.restart()

    def restart(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = self.port or free.getsockname()[1]
        self.server = subprocess.Popen(
            [PROGRAM, "serve", "--private", "--listen", f"127.0.0.1:{self.port}", "--json"],
            env={**os.environ, "HOMING_HOME": self.home, "HOMING_CONFIG": str(self.config)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = json.loads(self.server.stdout.readline())
        self.url = line["url"].rstrip("/") + "/"
        # Tests may give the page another token.
        self.token = self.own_token = Path(line["token_file"]).read_text().strip()

    def call(self, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            f"{self.url}api/v1/{path}", data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.own_token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.status} {error.read().decode()}") from error

    def launch(self, command: str, session: str = "default", name: str | None = None) -> str:
        return self.call("jobs", {"command": command, "session": session, "name": name, "cwd": self.home})["id"]

    def job(self, id: str) -> dict:
        return self.call(f"jobs/{id}")

    def print(self, data: bytes, session: str = "default") -> str:
        file = Path(self.home).with_suffix(".output")
        file.write_bytes(data)
        id = self.launch(f"cat {file}", session)
        until(lambda: self.job(id)["state"] == "finished", "the job has not printed its output")
        file.unlink()
        return id

    def kill(self) -> None:
        self.server.send_signal(signal.SIGKILL)
        self.server.communicate()

    def close(self) -> None:
        if self.server.poll() is not None:
            self.restart()
        for job in self.call("jobs?state=running&limit=500")["jobs"]:
            self.call(f"jobs/{job['id']}/kill", {})
        # It ends at the end of its input.
        self.server.communicate(timeout=DEADLINE)
        shutil.rmtree(self.home)
        self.config.unlink()


def start() -> StandIn | Real:
    return Real() if PROGRAM else StandIn()
