"""The example `chat_app` as a program, and a browser that listens to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from conftest import wait_until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"
DEADLINE = 60.0


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    kind: str
    data: dict[str, object]
    id: int | None

    def is_from(self, sender: str, text: str = "") -> bool:
        return self.kind == "message" and self.data["sender"] == sender and text in str(self.data["text"])

    @property
    def ends_a_turn(self) -> bool:
        return self.kind == "turn" and self.data["running"] is False


class Stream:
    """The events of a session that a browser receives."""

    def __init__(self, client: httpx.Client, session: str, after: int | None = None) -> None:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        request = client.build_request("GET", f"/sessions/{session}/events", headers=headers)
        self.response = client.send(request, stream=True)
        assert self.response.status_code == 200 and "text/event-stream" in self.response.headers["content-type"]
        self.events: list[Event] = []
        self._read = self._parse()

    def _parse(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        deadline = time.monotonic() + DEADLINE
        for line in self.response.iter_lines():
            assert time.monotonic() < deadline, self.events
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            elif "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                yield Event(fields["event"], json.loads(fields["data"]), number)
                fields, deadline = {}, time.monotonic() + DEADLINE
            else:
                fields = {}

    def until(self, condition: Callable[[Event], bool]) -> Event:
        """The next event that fulfils the condition."""
        for event in self._read:
            self.events.append(event)
            if condition(event):
                return event
        raise AssertionError(f"the stream has ended after {self.events}")

    def close(self) -> None:
        self.response.close()


class Server:
    """The running example, on a socket that survives it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.socket.getsockname()[1]}", timeout=DEADLINE)
        self.log = open(directory.parent / "server.log", "ab")
        self.start()

    def start(self) -> None:
        file = str(self.socket.fileno())
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--fd", file]
        self.process = subprocess.Popen(
            [*command, "--timeout-graceful-shutdown", "1", "chat_app.app:app"],
            env={**os.environ, "CHAT_APP_DIRECTORY": str(self.directory)},
            pass_fds=[self.socket.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def kill(self) -> None:
        """Kills it like `kill -9`."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def end(self) -> None:
        """Stops it as a service manager does."""
        self.process.terminate()
        assert self.process.wait(DEADLINE) in (0, -signal.SIGTERM)

    def close(self) -> None:
        self.kill()
        self.client.close()
        self.socket.close()
        self.log.close()

    def open_session(self) -> str:
        return str(self.client.post("/sessions").raise_for_status().json()["session"])

    def try_to_say(self, session: str, text: str) -> int:
        return self.client.post(f"/sessions/{session}/messages", json={"text": text}).status_code

    def say(self, session: str, text: str) -> None:
        assert self.try_to_say(session, text) == 202

    def say_when_free(self, session: str, text: str) -> None:
        wait_until(lambda: self.try_to_say(session, text) == 202, "no turn is running")

    def open_stream(self, session: str, after: int | None = None) -> Stream:
        return Stream(self.client, session, after)

    def transcript(self, session: str) -> list[Event]:
        """All messages up to a point when no turn is active."""
        stream = self.open_stream(session)
        stream.until(lambda event: event.ends_a_turn)
        stream.close()
        return [event for event in stream.events if event.kind == "message"]
