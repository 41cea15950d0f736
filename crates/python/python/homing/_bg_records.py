"""What the store of `homing.bg_jobs` and the take-over of an old store share: ids, and names of sessions."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard


def session_name(session_id: object) -> object:
    """The name of a session. Integers become strings."""
    return str(session_id) if isinstance(session_id, int) else session_id


def is_job_id(job_id: object) -> TypeGuard[str]:
    """Whether this is a complete id, not a prefix."""
    return isinstance(job_id, str) and len(job_id) == 12 and set(job_id) <= set("0123456789abcdef")
