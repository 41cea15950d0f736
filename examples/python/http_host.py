"""A host that runs agents, over HTTP on the socket of the user: it launches a job for a chat, claims the wake when the job has
finished, gives it to the agent, and acknowledges it. It survives a restart of the server, and of itself.

    pip install httpx
    homing serve &
    export HOMING_TOKEN=$(homing token create --scope session:chat-1)
    python examples/python/http_host.py 'sleep 5; echo done'
"""

import os
import pathlib
import sys
import time
import uuid

import httpx

SOCKET = os.environ.get(
    "HOMING_SOCKET", str(pathlib.Path.home() / ".local/state/homing/serve/sock")
)
TOKEN = os.environ.get("HOMING_TOKEN", "")
# How long a claim waits, in milliseconds.
WAIT_MS = 60_000
# How long the agent may take for its turn. After that the wake is delivered again.
LEASE_MS = 600_000


class ApiError(Exception):
    """An error that the server has answered."""

    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.code = problem["code"]


def post(client, path, body, headers=None):
    """Sends a request until the server answers it: it may be restarted at any time. Each request of this host may be
    repeated. Returns the answer, or None without content."""
    pause = 0.1
    while True:
        try:
            response = client.post(f"/api/v1/{path}", json=body, headers=headers)
        except httpx.TransportError:
            response = None  # The server does not answer, or the connection broke.
        if response is not None:
            if response.status_code == 204:
                return None
            if response.is_success:
                return response.json()
            if response.status_code != 503:
                raise ApiError(response.json())
        time.sleep(pause)
        pause = min(2 * pause, 5)


def run_turn(wake):
    """The turn of the agent. A real host resumes its chat with the text here."""
    print(wake["text"], flush=True)


def main(command):
    transport = httpx.HTTPTransport(uds=SOCKET)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    timeout = httpx.Timeout(10, read=WAIT_MS / 1000 + 30)
    with httpx.Client(
        transport=transport, base_url="http://homing", headers=headers, timeout=timeout
    ) as client:
        # The key makes the launch safe to repeat. A real host uses the id of the message that asks for the job.
        key = os.environ.get("HOMING_KEY", str(uuid.uuid4()))
        job = post(client, "jobs", {"command": command}, {"Idempotency-Key": key})
        print(f"launched {job['id']}", flush=True)
        while True:
            claim = {"wait_ms": WAIT_MS, "lease_ms": LEASE_MS}
            wake = post(client, "wakes/claim", claim)
            if wake is None:
                continue
            run_turn(wake)
            try:
                post(client, f"wakes/{wake['id']}/acknowledge", {"lease": wake["lease"]["id"]})
            except ApiError as error:
                if error.code != "lease_lost":
                    raise
                continue  # The turn took too long: the wake comes again, under the same id.
            if any(finished["id"] == job["id"] for finished in wake["jobs"]):
                return


if __name__ == "__main__":
    if len(sys.argv) != 2 or not TOKEN:
        sys.exit("usage: HOMING_SOCKET=… HOMING_TOKEN=… python http_host.py COMMAND")
    main(sys.argv[1])
