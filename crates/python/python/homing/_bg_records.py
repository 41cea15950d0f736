"""What the store of `homing.bg_jobs` and the take-over of an old store share: ids, names of sessions, private files."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard


def session_name(session_id: object) -> object:
    """The name of a session. Integers become strings."""
    return str(session_id) if isinstance(session_id, int) else session_id


def is_job_id(job_id: object) -> TypeGuard[str]:
    """Whether this is a complete id, not a prefix."""
    return isinstance(job_id, str) and len(job_id) == 12 and set(job_id) <= set("0123456789abcdef")


def write_private(path: str, text: str) -> None:
    """Writes a file atomically, readable only by this user."""
    new = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except OSError:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise
