"""Forwards signals that a wait has received to what Python reported them to before. The extension calls it."""

from __future__ import annotations

import os
import sys


def pass_on(previous: int, signals: bytes) -> None:
    """Writes signals to what `signal.set_wakeup_fd` returned: a descriptor, or a socket."""
    if sys.platform == "win32":
        # There, the number of a socket is not that of a descriptor, and a descriptor of the same number may be another file.
        import socket

        try:
            receiver = socket.socket(fileno=previous)
        except OSError:
            os.write(previous, signals)
            return
        try:
            receiver.send(signals)
        finally:
            # It belongs to another object.
            receiver.detach()
    else:
        os.write(previous, signals)
