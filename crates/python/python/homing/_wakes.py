"""Wakes: the follow-ups of finished jobs, for applications that run the agents of the sessions."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar
from weakref import WeakSet

from ._job import Job, job_from
from ._seconds import to_millis
from ._readers import start_reader
from ._threads import in_thread
from .errors import InvalidRequest, NoSuchJob, Unavailable

if TYPE_CHECKING:
    from types import TracebackType

    from . import _homing
    from ._job import Operations
    from ._readers import Reader
    from ._types import Seconds

Answer: TypeAlias = 'Literal["delivered", "handed_off", "busy", "gone", "failed"]'

Value = TypeVar("Value")

_HANDED_BACK = "handed back: its consumer ended"

_log = logging.getLogger("homing")
_LEVELS = {"warning": logging.WARNING, "standby": logging.WARNING, "held": logging.INFO, "answered": logging.INFO}


@dataclass(frozen=True, eq=False)
class Wake:
    """One message for one session about one or more finished jobs. Answer it once. Each answer returns when it is on disk.
    A wake that is released without an answer is a failed attempt.
    """

    id: str
    """The same for every attempt, like the content."""
    session: str
    attempt: int
    text: str
    """The text for the agent. Output of jobs is marked as untrusted."""
    jobs: tuple[Job, ...]
    """The jobs when the wake was written, failed jobs first."""
    _offer: _homing.Offer = field(repr=False)
    _dispatcher: Dispatcher = field(repr=False)

    async def acknowledge(self) -> None:
        """The agent has received the wake."""
        await self._dispatcher.answer(self, "delivered")

    async def hand_off(self) -> None:
        """The wake was passed on. It is delivered again unless `Homing.acknowledge` is called within 15 minutes."""
        await self._dispatcher.answer(self, "handed_off")

    async def busy(self, retry_after: Seconds | None = None, *, reason: str = "a turn is running") -> None:
        """The session cannot receive the wake now. No attempt is used up. `Homing.session_is_free` retries it sooner."""
        await self._dispatcher.answer(self, "busy", retry_after=retry_after, reason=reason)

    async def gone(self, reason: str = "the session does not exist") -> None:
        """The session no longer exists. The follow-up is dead at once and stays listed."""
        await self._dispatcher.answer(self, "gone", reason=reason)

    async def failed(self, error: str) -> None:
        """The attempt failed and is retried later."""
        await self._dispatcher.answer(self, "failed", reason=error)


class WakeStream:
    """The asynchronous iterator that `Homing.wakes` returns. `aclose`, or the end of an `async with`, hands back unanswered
    wakes without using up an attempt; if an exception ends the block, the attempt has failed. When the last stream of a
    home is closed, this process stops being its monitor.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._claimed: WeakSet[Wake] = WeakSet()
        self._is_closed = False
        dispatcher.streams += 1

    def __aiter__(self) -> WakeStream:
        return self

    async def __anext__(self) -> Wake:
        wake = None if self._is_closed else await self._dispatcher.next_wake(self)
        if wake is None:
            raise StopAsyncIteration
        self._claimed.add(wake)
        return wake

    async def __aenter__(self) -> WakeStream:
        """Starts to be the monitor, or to wait for that."""
        self._dispatcher.start(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A wake that raises in its agent must not be retried forever. Cancellation is not a failure.
        if isinstance(error, Exception):
            for wake in list(self._claimed):
                wake._offer.answer("failed", reason=f"{type(error).__name__}: {error}")
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        if self._is_closed:
            return
        claimed = list(self._claimed)
        self._close()
        for wake in claimed:
            hand_back(wake._offer)
        await self._dispatcher.until_stopped()

    def _close(self) -> None:
        self._is_closed = True
        self._dispatcher.leave(self)

    def __del__(self) -> None:
        if not self._is_closed:
            self._close()


def hand_back(offer: _homing.Offer) -> None:
    """Returns a wake that will not be answered here. The next consumer gets it at once."""
    offer.answer("busy", retry_after_ms=0, reason=_HANDED_BACK)


class Dispatcher:
    """Distributes the wakes of one home to the tasks of one event loop."""

    def __init__(self, homing: Operations, home: _homing.Home, sessions: str, timeout_ms: int) -> None:
        self.request = (sessions, timeout_ms)
        self.streams = 0
        self._homing = homing
        self._home = home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: _homing.WakeFeed | None = None
        self._reader: Reader | None = None
        self._unclaimed: deque[Wake] = deque()
        self._claimants: deque[tuple[WakeStream, asyncio.Future[Wake | None]]] = deque()
        self._unrecorded: dict[str, asyncio.Future[str]] = {}
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._error: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it delivers no more wakes."""
        return self._is_stopping or self._stopped.is_set() or (self._loop is not None and self._loop.is_closed())

    def retire(self) -> None:
        """Stops the monitor and hands back unclaimed wakes."""
        if self._feed is not None and not self._stopped.is_set():
            self._is_stopping = True
            self._feed.stop()
            # The event loop may be closed and not report it.
            self._on_readable()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts to consume wakes in this event loop."""
        if self._loop is None:
            self._feed = self._home.wakes(*self.request)
            self._loop = loop
            self._reader = start_reader(loop, self._feed, self._on_readable)
        elif self._loop is not loop:
            raise InvalidRequest("the wakes of a home can be consumed in one event loop only")

    def session_is_free(self, session: str) -> None:
        if self._feed is not None:
            self._feed.session_is_free(session)

    async def next_wake(self, stream: WakeStream) -> Wake | None:
        """The next wake; `None` after the last one."""
        self.start(asyncio.get_running_loop())
        if self._unclaimed:
            return self._unclaimed.popleft()
        if self._stopped.is_set():
            return self._no_more()
        claimant: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()
        self._claimants.append((stream, claimant))
        try:
            wake = await claimant
        except asyncio.CancelledError:
            if claimant.cancelled():
                with suppress(ValueError):
                    self._claimants.remove((stream, claimant))
            elif claimant.done() and (wake := claimant.result()) is not None:
                # It arrived together with the cancellation: another task gets it.
                self._unclaimed.appendleft(wake)
                self._distribute()
            raise
        return wake if wake is not None else self._no_more()

    async def answer(
        self, wake: Wake, answer: Answer, *, retry_after: Seconds | None = None, reason: str = ""
    ) -> None:
        """Answers, and returns when the answer is on disk."""
        millis = None if retry_after is None else to_millis(retry_after)
        loop = asyncio.get_running_loop()
        recorded: asyncio.Future[str] = loop.create_future()
        # Only its own event loop, before the monitor has ended, learns that an answer is on disk.
        is_reported = loop is self._loop and not self._stopped.is_set()
        if is_reported and wake._offer.is_open:
            self._unrecorded[wake.id] = recorded
        in_time = wake._offer.answer(answer, retry_after_ms=millis, reason=reason)
        if in_time and is_reported and await recorded == answer:
            return
        if self._unrecorded.get(wake.id) is recorded:
            del self._unrecorded[wake.id]
        # Perhaps too late for this attempt. The session has the result, so do not notify it again.
        if answer == "delivered":
            with suppress(NoSuchJob):
                await in_thread(self._home.acknowledge, [job.id for job in wake.jobs])

    def leave(self, stream: WakeStream) -> None:
        """Removes a stream. The monitor stops with the last one."""
        self.streams -= 1
        for waiting, claimant in self._claimants:
            if waiting is stream:
                self._resolve(claimant, None)
        if self.streams == 0:
            self.retire()

    async def until_stopped(self) -> None:
        """Waits until this process is no longer the monitor, unless another stream is open."""
        if self._is_stopping and asyncio.get_running_loop() is self._loop:
            await self._stopped.wait()

    def _on_readable(self) -> None:
        assert self._feed is not None
        while (message := self._feed.next()) is not None:
            if message[0] == "wake":
                self._unclaimed.append(self._wake(message[1]))
            elif message[0] == "recorded":
                wake_id, answer = message[1]
                if (recorded := self._unrecorded.pop(wake_id, None)) is not None:
                    self._resolve(recorded, answer)
            elif message[0] == "log":
                event, text = message[1]
                _log.log(_LEVELS.get(event, logging.DEBUG), "%s", text)
            else:
                self._stop(message[1])
        self._distribute()

    def _stop(self, error: str | None) -> None:
        if self._reader is not None:
            self._reader.close()
        self._error = error
        self._stopped.set()
        for recorded in self._unrecorded.values():
            self._resolve(recorded, "lost")
        for _, claimant in self._claimants:
            self._resolve(claimant, None)

    def _resolve(self, future: asyncio.Future[Value], result: Value) -> None:
        if not future.done() and not future.get_loop().is_closed():
            future.set_result(result)

    def _no_more(self) -> Wake | None:
        if self._error is not None:
            raise Unavailable(self._error)
        return None

    def _distribute(self) -> None:
        while self._unclaimed and self._claimants and not self._is_stopping:
            _, claimant = self._claimants.popleft()
            if not claimant.done():
                claimant.set_result(self._unclaimed.popleft())
        if self._is_stopping:
            while self._unclaimed:
                hand_back(self._unclaimed.popleft()._offer)

    def _wake(self, offer: _homing.Offer) -> Wake:
        document = json.loads(offer.document)
        return Wake(
            id=document["id"],
            session=document["session"],
            attempt=document["attempt"],
            text=document["text"],
            jobs=tuple(job_from(job, self._homing) for job in document["jobs"]),
            _offer=offer,
            _dispatcher=self,
        )
