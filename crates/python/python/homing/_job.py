"""What is known of a job: the document `homing.job/1` as typed objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from . import _homing

# What `typing` says itself; importing it takes longer than this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any, Literal, TypeAlias

    from ._client import Homing
    from ._seconds import Seconds

    State: TypeAlias = Literal["starting", "running", "finished"]
    OutcomeKind: TypeAlias = Literal["exited", "signaled", "timed_out", "killed", "failed_to_start", "lost"]
    FollowUpState: TypeAlias = Literal["waiting", "pending", "handed_off", "acknowledged", "suppressed", "dead"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended. What cannot be known is `lost`, never guessed."""

    kind: OutcomeKind
    exit_code: int | None = None
    """Of `exited`."""
    signal: str | None = None
    """Of `signaled`: its name, such as `SIGSEGV`."""
    signal_number: int | None = None
    reason: str | None = None
    """Of `killed`: `session`, `operator`, `outside` or `service_manager`. Of `lost`: what is known of why."""
    error: str | None = None
    """Of `failed_to_start`."""
    errno: int | None = None


@dataclass(frozen=True)
class Leftover:
    """A process that outlived the job's main process."""

    pid: int
    name: str
    fate: str
    """`ended`, `kept` or `survived`."""


@dataclass(frozen=True)
class OutputSize:
    """How many bytes a job has written, and where they went."""

    total_bytes: int
    omitted_bytes: int
    """Between the kept beginning and the kept end."""
    dropped_bytes: int
    """Not stored, because the disk was full."""


@dataclass(frozen=True)
class FollowUp:
    """The duty to tell the session."""

    state: FollowUpState
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class Output:
    """A piece of a job's output."""

    offset: int
    """Of its first byte in everything the job wrote. Larger than asked for where bytes in between were not kept."""
    data: bytes

    @property
    def end(self) -> int:
        """Where to go on reading."""
        return self.offset + len(self.data)

    @property
    def text(self) -> str:
        """Without terminal control codes; of a progress bar only its last state; what is no UTF-8 is replaced."""
        return _homing.Home.clean(self.data)


@dataclass(frozen=True)
class OutputPiece:
    """What a job has written since the piece before."""

    offset: int
    """Of its first byte in everything the job wrote. Larger than the end of the piece before where bytes in between were
    not kept."""
    data: bytes
    """Empty in the last piece, where that only ends a line."""
    text: str
    """The lines that are complete now, as `Output.text` has them; a line stands for what was not kept."""

    @property
    def end(self) -> int:
        """Where to go on reading."""
        return self.offset + len(self.data)


@dataclass(frozen=True)
class Job:
    """A job as it was when this was made; `refresh` returns it as it is now. Times of day are in UTC."""

    id: str
    session: str
    key: str | None
    """Under which its session launched it."""
    name: str | None
    command: str
    cwd: str
    state: State
    outcome: Outcome | None
    pid: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    """Seconds, on a clock that does not jump."""
    timeout: float | None
    """Its time limit in seconds."""
    cpu: float | None
    """Processor time of all its processes, in seconds."""
    peak_memory_bytes: int | None
    leftovers: tuple[Leftover, ...]
    leftovers_omitted: int
    output_size: OutputSize
    follow_up: FollowUp
    _homing: Homing = field(repr=False, compare=False)

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def succeeded(self) -> bool | None:
        """Whether it ended by itself with exit code 0; `None` as long as it is not over."""
        return None if self.outcome is None else self.outcome.kind == "exited" and self.outcome.exit_code == 0

    def refresh(self) -> Job:
        """The same job as it is now."""
        return self._homing.get(self.id)

    def wait(self, timeout: Seconds | None = None, *, acknowledge: bool | None = None) -> Job:
        """Waits until it is over, and returns it as it is then. See `Homing.wait`."""
        return self._homing.wait(self, timeout=timeout, acknowledge=acknowledge)[0]

    async def wait_async(self, timeout: Seconds | None = None, *, acknowledge: bool | None = None) -> Job:
        """As `wait`, without holding up the event loop."""
        return (await self._homing.wait_async(self, timeout=timeout, acknowledge=acknowledge))[0]

    def output(self, start: int = 0, *, limit: int = 1 << 20, tail: int | None = None) -> Output:
        """At most `limit` bytes of output from the first kept offset at or behind `start`; with `tail`, the last so
        many bytes. To go on, pass `Output.end` as the next `start`.
        """
        return self._homing.output(self, start, limit=limit, tail=tail)

    def follow(self, start: int = 0) -> Iterator[OutputPiece]:
        """Its output from `start` on as it is written, until it is over. Ctrl-C interrupts it."""
        return self._homing.follow(self, start)

    def follow_async(self, start: int = 0) -> AsyncIterator[OutputPiece]:
        """As `follow`, without holding up the event loop."""
        return self._homing.follow_async(self, start)

    def result_text(self) -> str:
        """What an agent reads: how it ended, its command and output, within 16,000 characters."""
        return self._homing.result_text(self)

    def kill(self, *, by_session: bool = True) -> Job:
        """Ends it with everything it started, and returns when nothing of it is left. Its session is not told, since
        it asked for it; with `by_session=False` it is told.
        """
        return self._homing.kill(self, by_session=by_session)

    def acknowledge(self) -> Job:
        """Notes that its session was told."""
        return self._homing.acknowledge(self)[0]


def job_from(document: dict[str, Any], homing: Homing) -> Job:
    """A job from its document."""
    outcome, output, follow_up = document["outcome"], document["output"], document["follow_up"]
    return Job(
        id=document["id"],
        session=document["session"],
        key=document["key"],
        name=document["name"],
        command=document["command"],
        cwd=document["cwd"],
        state=document["state"],
        outcome=None if outcome is None else Outcome(**outcome),
        pid=document["pid"],
        created_at=_required_time(document["created_at"]),
        started_at=_time(document["started_at"]),
        ended_at=_time(document["ended_at"]),
        duration=_seconds(document["duration_ms"]),
        timeout=_seconds(document["timeout_ms"]),
        cpu=_seconds(document["cpu_ms"]),
        peak_memory_bytes=document["peak_memory_bytes"],
        leftovers=tuple(Leftover(one["pid"], one["name"], one["fate"]) for one in document["leftovers"]),
        leftovers_omitted=document.get("leftovers_omitted", 0),
        output_size=OutputSize(output["total_bytes"], output["omitted_bytes"], output["dropped_bytes"]),
        follow_up=FollowUp(
            follow_up["state"],
            follow_up["attempts"],
            _time(follow_up["next_attempt_at"]),
            follow_up["last_error"],
        ),
        _homing=homing,
    )


def job_id(job: Job | str) -> str:
    """The id of a job that is named by itself or by its id."""
    return job.id if isinstance(job, Job) else job


def _required_time(text: str) -> datetime:
    # Before Python 3.11 "Z" is not understood.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else _required_time(text)


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
