"""Events: the document `homing.event/1` as typed objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ._job import Outcome

# Without an import of `typing`, which takes longer than this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._types import FollowUpState


@dataclass(frozen=True)
class Actor:
    """Who caused an event. What is not known is `None`."""

    kind: str
    """`process`, `token`, `monitor`, `supervisor`, `session`, `operator`, `outside` or `service_manager`; later versions may
    add kinds."""
    uid: int | None = None
    """The user id of the process."""
    pid: int | None = None
    session: str | None = None
    """The session that it acted for, as the process says."""
    token: str | None = None
    """The name of the access token of a request to a server."""
    program: str | None = None
    """The name of the program. Any text: the process chooses it."""


@dataclass(frozen=True)
class Event:
    """What happened to a job, a follow-up, a wake or a monitor. Times are in UTC. Later versions may add types, so skip those
    that you do not know.
    """

    cursor: str
    """The place in the log. Pass it as `since` to get the events after this one."""
    type: str
    """Such as `job.finished`, `follow_up.acknowledged`, `wake.dead` or `monitor.started`."""
    occurred_at: datetime
    recorded_at: datetime
    """The start and the end of a job are recorded later than they occur."""
    session: str | None
    """`None` for a monitor."""
    job: str | None
    """The id of the job; `None` for a wake or a monitor."""
    name: str | None
    """The name of the job, while its record is kept."""
    wake: str | None
    actor: Actor
    outcome: Outcome | None = None
    """Of `job.finished`; of `job.corrected` if the job has ended after all."""
    previous: FollowUpState | None = None
    """Of a follow-up: its state before. The type names its state now."""
    sink: str | None = None
    """Of a wake; `None` if only a claim delivers it."""
    attempt: int | None = None
    """Of a wake: the number of the attempt, from 1; `None` before the first."""
    error: str | None = None
    """Of a wake: why the attempt failed, was postponed or is not needed. Untrusted."""
    jobs: tuple[str, ...] = ()
    """Of a wake: the jobs whose results it carries."""
    clean: bool | None = None
    """Of `monitor.ended`: `False` if the monitor was killed."""


@dataclass(frozen=True)
class EventPage:
    """Events in the order in which they were recorded, and where to continue."""

    events: tuple[Event, ...]
    next: str
    """Where to continue: pass it as `since`."""
    truncated: bool
    """Whether events after `since` are missing: they were deleted, or the ledger was rebuilt. Then the page begins with the
    oldest event that is kept. Read the current state again."""
    has_more: bool
    """Whether the limit left out events."""


def event_page(page: tuple[list[dict[str, Any]], str, bool, bool]) -> EventPage:
    """Converts a page of documents."""
    events, next, truncated, has_more = page
    return EventPage(tuple(event_from(document) for document in events), next, truncated, has_more)


def event_from(document: dict[str, Any]) -> Event:
    """Converts a document to an event."""
    outcome = document.get("outcome")
    return Event(
        cursor=document["cursor"],
        type=document["type"],
        occurred_at=_time(document["occurred_at"]),
        recorded_at=_time(document["recorded_at"]),
        session=document["session"],
        job=document["job"],
        name=document["name"],
        wake=document["wake"],
        actor=Actor(**document["actor"]),
        outcome=None if outcome is None else Outcome(**outcome),
        previous=document.get("from"),
        sink=document.get("sink"),
        attempt=document.get("attempt"),
        error=document.get("error"),
        jobs=tuple(document.get("jobs", ())),
        clean=document.get("clean"),
    )


def _time(text: str) -> datetime:
    # Python before 3.11 does not parse "Z".
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
