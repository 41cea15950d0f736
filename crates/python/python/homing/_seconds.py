"""Converts durations to milliseconds."""

from __future__ import annotations

from datetime import timedelta
from math import ceil, isfinite

from .errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._types import Seconds


def to_millis(duration: Seconds) -> int:
    """Converts to milliseconds, rounded up, so that a short duration does not become zero."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if not isfinite(seconds) or not 0 <= seconds < 1e12:
        raise InvalidRequest(f"{duration!r} is not a valid duration in seconds")
    return ceil(seconds * 1000)
