"""A job: the document `homing.job/1` as typed objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from . import _homing

# Without an import of `typing`, which takes longer than this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any, Protocol

    from ._types import FollowUpPolicy, FollowUpState, LeftoversPolicy, OutcomeKind, Seconds, State

    class Operations(Protocol):
        """The operations on jobs that a `Job` calls. `Homing` implements them."""

        def get(self, job: Job | str) -> Job: ...
        def wait(
            self, *jobs: Job | str, timeout: Seconds | None = None, acknowledge: bool | None = None
        ) -> list[Job]: ...
        async def wait_async(
            self, *jobs: Job | str, timeout: Seconds | None = None, acknowledge: bool | None = None
        ) -> list[Job]: ...
        def output(self, job: Job | str, start: int = 0, *, limit: int = 1 << 20, tail: int | None = None) -> Output: ...
        def follow(self, job: Job | str, start: int = 0) -> Iterator[OutputPiece]: ...
        def follow_async(self, job: Job | str, start: int = 0) -> AsyncIterator[OutputPiece]: ...
        def result_text(self, job: Job | str) -> str: ...
        def kill(self, job: Job | str, *, by_session: bool = True) -> Job: ...
        def acknowledge(self, *jobs: Job | str) -> list[Job]: ...


@dataclass(frozen=True)
class Outcome:
    """How a job ended. An unknown outcome is `lost`. It is never guessed."""

    kind: OutcomeKind
    exit_code: int | None = None
    """Of `exited`."""
    signal: str | None = None
    """Of `signaled`: its name, such as `SIGSEGV`."""
    signal_number: int | None = None
    reason: str | None = None
    """Of `killed`: `session`, `operator`, `outside` or `service_manager`. Of `lost`: the known cause."""
    error: str | None = None
    """Of `failed_to_start`."""
    errno: int | None = None


@dataclass(frozen=True)
class Leftover:
    """A process that survived the job's main process."""

    pid: int
    name: str
    fate: str
    """`ended`, `kept`, `survived` or `spared`."""


@dataclass(frozen=True)
class OutputSize:
    """The number of bytes that a job has written, and how many are not stored."""

    total_bytes: int
    omitted_bytes: int
    """Overwritten, between the kept head and the kept tail."""
    dropped_bytes: int
    """Not stored, because the disk was full."""


@dataclass(frozen=True)
class FollowUp:
    """The pending or completed notification of the session."""

    state: FollowUpState
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class Output:
    """A piece of a job's output."""

    offset: int
    """Offset of its first byte in the whole output. Larger than requested if bytes in between were not kept."""
    data: bytes

    @property
    def end(self) -> int:
        """The offset at which to continue."""
        return self.offset + len(self.data)

    @property
    def text(self) -> str:
        """Text without terminal control codes, with only the last state of a progress bar. Invalid UTF-8 is replaced."""
        return _homing.Home.clean(self.data)


@dataclass(frozen=True)
class OutputPiece:
    """Output that a job has written since the previous piece."""

    offset: int
    """Offset of its first byte in the whole output. Larger than the end of the previous piece if bytes in between were
    not kept."""
    data: bytes
    """Empty in the last piece if that only completes a line."""
    text: str
    """The lines that are complete now, cleaned like `Output.text`. One line replaces output that was not kept."""

    @property
    def end(self) -> int:
        """The offset at which to continue."""
        return self.offset + len(self.data)


@dataclass(frozen=True)
class Job:
    """A snapshot of a job. `refresh` returns its current state. Times are in UTC."""

    id: str
    session: str
    key: str | None
    """The key of its launch."""
    name: str | None
    command: str
    """The script, or the program and its arguments, quoted for a shell."""
    argv: tuple[str, ...] | None
    """The program and its exact arguments; `None` for a script."""
    cwd: str
    env_names: tuple[str, ...]
    """The names of the variables that its launch set. Their values are not stored."""
    state: State
    outcome: Outcome | None
    pid: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    """Seconds, on a monotonic clock."""
    timeout: float | None
    """Maximum run time in seconds."""
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    cpu: float | None
    """Processor time of all its processes, in seconds."""
    peak_memory_bytes: int | None
    leftovers: tuple[Leftover, ...]
    leftovers_omitted: int
    leftovers_policy: LeftoversPolicy
    output_head_bytes: int
    """Bytes kept from the beginning of the output."""
    output_tail_bytes: int
    """Bytes kept from the end of the output."""
    output_size: OutputSize
    follow_up: FollowUp
    follow_up_policy: FollowUpPolicy
    harness: str | None
    """The agent harness that it was launched from."""
    sink: str | None
    """The sink that its launch named."""
    executor: str | None
    """The executor that runs it, on another machine; `None` for this one."""
    _homing: Operations = field(repr=False, compare=False)

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def succeeded(self) -> bool | None:
        """Whether it ended by itself with exit code 0; `None` while it runs."""
        return None if self.outcome is None else self.outcome.kind == "exited" and self.outcome.exit_code == 0

    def refresh(self) -> Job:
        """The current state of the job."""
        return self._homing.get(self.id)

    def wait(self, timeout: Seconds | None = None, *, acknowledge: bool | None = None) -> Job:
        """Waits until it has finished and returns its final state. See `Homing.wait`."""
        return self._homing.wait(self, timeout=timeout, acknowledge=acknowledge)[0]

    async def wait_async(self, timeout: Seconds | None = None, *, acknowledge: bool | None = None) -> Job:
        """Like `wait`, without blocking the event loop."""
        return (await self._homing.wait_async(self, timeout=timeout, acknowledge=acknowledge))[0]

    def output(self, start: int = 0, *, limit: int = 1 << 20, tail: int | None = None) -> Output:
        """At most `limit` bytes of output from the first kept offset at or after `start`; with `tail`, the last `tail`
        bytes. To continue, pass `Output.end` as the next `start`.
        """
        return self._homing.output(self, start, limit=limit, tail=tail)

    def follow(self, start: int = 0) -> Iterator[OutputPiece]:
        """Its output from `start` on, as it is written, until the job has finished. Ctrl-C interrupts the iteration."""
        return self._homing.follow(self, start)

    def follow_async(self, start: int = 0) -> AsyncIterator[OutputPiece]:
        """Like `follow`, without blocking the event loop."""
        return self._homing.follow_async(self, start)

    def result_text(self) -> str:
        """The text for an agent: outcome, command and output, at most 16,000 characters."""
        return self._homing.result_text(self)

    def kill(self, *, by_session: bool = True) -> Job:
        """Kills it with every process it started, and returns when all of them are gone. Its session is not notified,
        because it requested the kill; with `by_session=False` it is notified.
        """
        return self._homing.kill(self, by_session=by_session)

    def acknowledge(self) -> Job:
        """Acknowledges its follow-up."""
        return self._homing.acknowledge(self)[0]


def job_from(document: dict[str, Any], homing: Operations) -> Job:
    """Converts a document to a job."""
    outcome, output, follow_up = document["outcome"], document["output"], document["follow_up"]
    # A wake keeps the document that the version at that time wrote. Fields that it lacks have their defaults.
    argv = document.get("argv")
    return Job(
        id=document["id"],
        session=document["session"],
        key=document["key"],
        name=document["name"],
        command=document["command"],
        argv=None if argv is None else tuple(argv),
        cwd=document["cwd"],
        env_names=tuple(document.get("env_names", ())),
        state=document["state"],
        outcome=None if outcome is None else Outcome(**outcome),
        pid=document["pid"],
        created_at=_required_time(document["created_at"]),
        started_at=_time(document["started_at"]),
        ended_at=_time(document["ended_at"]),
        duration=_seconds(document["duration_ms"]),
        timeout=_seconds(document["timeout_ms"]),
        grace=document.get("grace_ms", 10_000) / 1000,
        cpu=_seconds(document["cpu_ms"]),
        peak_memory_bytes=document["peak_memory_bytes"],
        leftovers=tuple(Leftover(one["pid"], one["name"], one["fate"]) for one in document["leftovers"]),
        leftovers_omitted=document.get("leftovers_omitted", 0),
        leftovers_policy=document.get("leftovers_policy", "kill"),
        output_head_bytes=document.get("head_bytes", 1 << 20),
        output_tail_bytes=document.get("tail_bytes", 4 << 20),
        output_size=OutputSize(output["total_bytes"], output["omitted_bytes"], output["dropped_bytes"]),
        follow_up=FollowUp(
            follow_up["state"],
            follow_up["attempts"],
            _time(follow_up["next_attempt_at"]),
            follow_up["last_error"],
        ),
        follow_up_policy=document.get("follow_up_policy", "always"),
        harness=document.get("harness"),
        sink=document.get("sink"),
        executor=document.get("executor"),
        _homing=homing,
    )


def job_id(job: Job | str) -> str:
    """The id of a job."""
    return job.id if isinstance(job, Job) else job


def _required_time(text: str) -> datetime:
    # Python before 3.11 does not parse "Z".
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else _required_time(text)


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
