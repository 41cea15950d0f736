#!/usr/bin/env python3
"""Receives webhooks of homing: verifies the signature, prints the text for the agent, and answers 204.

Try it, in an empty directory:

    pip install standardwebhooks
    (umask 077; echo "whsec_$(head -c 32 /dev/urandom | base64)" > hook.secret)
    python3 webhook_receiver.py --secret-file hook.secret

Add this to config.toml of homing. The secret file is in the same directory, or give its full path:

    [sinks.app]
    webhook = "http://127.0.0.1:7000/wake"
    secret_file = "hook.secret"

    [[routes]]
    sink = "app"

A receiver must do three things, and this program does all of them:

- Verify the signature first. While keys rotate, the secret file has several secrets, one per line.
- Accept the same wake more than once: homing repeats a wake whose answer was lost, with the same `webhook-id`.
- Answer 2xx only after the wake is stored durably. Other answers mean: 409, 425, 429 or 503, the session is busy
  (`Retry-After` sets the delay); 404 or 410, the session no longer exists; anything else, homing retries later.

Needs Python 3.8 and the package standardwebhooks. Use it on the loopback interface only; it is not a production server.
"""

import argparse
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# homing stays below 20,000 bytes.
MAX_BODY_BYTES = 100_000


def read_secrets(path):
    lines = (line.strip() for line in Path(path).read_text().splitlines())
    return [Webhook(line) for line in lines if line and not line.startswith("#")]


def verified(webhooks, body, headers):
    """The event, or None where no secret made its signature."""
    for webhook in webhooks:
        try:
            return webhook.verify(body, headers)
        except (WebhookVerificationError, ValueError):
            # ValueError: the signature or the body cannot be parsed.
            continue
    return None


class Receiver(BaseHTTPRequestHandler):
    webhooks = []
    # In memory here. An application stores the id together with the result of the wake.
    seen = set()
    # Maximum time of a request, in seconds.
    timeout = 10

    def do_POST(self):
        if self.path != "/wake":
            return self.answer(404)
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            return self.answer(411)
        if int(length) > MAX_BODY_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        event = verified(self.webhooks, body, dict(self.headers.items()))
        if event is None:
            return self.answer(401)
        wake_id = self.headers["webhook-id"]
        if event["type"] == "job.finished" and wake_id not in self.seen:
            wake = event["data"]
            print(f"--- {wake_id} for session {wake['session']}, attempt {wake['attempt']}")
            print(wake["text"], flush=True)
            self.seen.add(wake_id)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, format, *args):
        print(format % args, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secret-file", required=True, help="whsec_ secrets, one a line")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7000, help="0 for any that is free")
    arguments = parser.parse_args()
    Receiver.webhooks = read_secrets(arguments.secret_file)
    if not Receiver.webhooks:
        parser.error(f"no secret in {arguments.secret_file}")
    server = HTTPServer((arguments.host, arguments.port), Receiver)
    print(f"listening on http://{arguments.host}:{server.server_port}/wake", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
