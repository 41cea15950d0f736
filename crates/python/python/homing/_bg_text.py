"""The texts of `homing.bg_jobs`: the outcome of a job, and its output within limits."""

from __future__ import annotations

import os
import stat
import sys

from . import _homing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Excerpt: TypeAlias = "tuple[bytes, bytes | None]"
    """The complete output, or its head and its tail."""

MAX_CHARS = 16000
"""Maximum length of the output in a text. Of longer output, the text has the head and the tail, half each."""

if sys.platform == "win32":
    # Without it, Windows changes line ends and stops at Ctrl-Z.
    _READ = os.O_RDONLY | os.O_BINARY
else:
    # Non-blocking, so that a FIFO cannot block the call. Python makes descriptors close on exec.
    _READ = os.O_RDONLY | os.O_NONBLOCK

PART_BYTES = 512 << 10
"""Bytes that are read of the head and of the tail. Much more than is shown, because control codes are removed."""


def describe(record: dict[str, Any]) -> str:
    """The first line about a job."""
    if record.get("status") == "running":
        return "Background job is still running."
    if record.get("timed_out"):
        return f"Background job timed out after {record.get('max_runtime_s')}s."
    if record.get("died"):
        return "Background job process died unexpectedly (no exit code)."
    if record.get("killed"):
        return "Background job was killed."
    if record.get("error"):
        return f"Background job could not be started: {record['error']}."
    signal = f" ({record['signal']})" if record.get("signal") else ""
    return f"Background job finished with exit code {record.get('exit_code')}{signal}."


def shorten(head: bytes, tail: bytes | None) -> str:
    """Output as text, with a mark where output was omitted."""
    half = MAX_CHARS // 2
    text = _homing.Home.clean(head)
    if tail is None:
        if len(text) <= MAX_CHARS:
            return text
        first, last = text[:half], text[-half:]
    else:
        first, last = text[:half], _homing.Home.clean(tail)[-half:]
    return f"{first}\n…[truncated]…\n{last}"


def read_job(home: _homing.Home, job_id: str) -> Excerpt:
    """The output of a job of the home."""
    end = home.output_end(job_id)
    if end <= 2 * PART_BYTES:
        return _read_up_to(home, job_id, 0, end), None
    return _read_up_to(home, job_id, 0, PART_BYTES), _read_up_to(home, job_id, end - PART_BYTES, end)


def _read_up_to(home: _homing.Home, job_id: str, start: int, end: int) -> bytes:
    pieces = []
    while start < end:
        offset, piece = home.output(job_id, start, end - start)
        if not piece:
            break
        pieces.append(piece)
        start = offset + len(piece)
    return b"".join(pieces)


def read_file(path: object) -> Excerpt:
    """The output of a job of another store; empty if it cannot be read."""
    if not isinstance(path, str):
        return b"", None
    try:
        with open(os.open(path, _READ), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return b"", None
            if status.st_size <= 2 * PART_BYTES:
                return file.read(2 * PART_BYTES), None
            head = file.read(PART_BYTES)
            file.seek(status.st_size - PART_BYTES)
            return head, file.read(PART_BYTES)
    except (OSError, ValueError):
        return b"", None
