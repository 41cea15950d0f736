"""Wakes: the follow-ups of finished jobs, for whoever runs the agents of their sessions."""

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
from ._threads import in_thread
from .errors import InvalidRequest, NoSuchJob, Unavailable

if TYPE_CHECKING:
    from types import TracebackType

    from . import _homing
    from ._client import Homing
    from ._seconds import Seconds

Answer: TypeAlias = 'Literal["delivered", "handed_off", "busy", "gone", "failed"]'

Superseded = TypeVar("Superseded")

_HANDED_BACK = "handed back: its consumer ended"

_log = logging.getLogger("homing")
_LEVELS = {"warning": logging.WARNING, "standby": logging.WARNING, "held": logging.INFO, "answered": logging.INFO}


@dataclass(frozen=True, eq=False)
class Wake:
    """One message for one session, about one finished job or several. Answer it once; each answer returns when it is
    on disk. Let go of without one, the attempt has failed.
    """

    id: str
    """The same at every attempt, as is the content."""
    session: str
    attempt: int
    text: str
    """What the agent reads. What jobs printed is marked in it as data."""
    jobs: tuple[Job, ...]
    """Failures first, as they were when the wake was made."""
    _offer: _homing.Offer = field(repr=False)
    _dispatcher: Dispatcher = field(repr=False)

    async def acknowledge(self) -> None:
        """The agent was told."""
        await self._dispatcher.answer(self, "delivered")

    async def hand_off(self) -> None:
        """It was passed on: it comes again unless somebody calls `Homing.acknowledge` within a quarter of an hour."""
        await self._dispatcher.answer(self, "handed_off")

    async def busy(self, retry_after: Seconds | None = None, *, reason: str = "a turn is live") -> None:
        """The session cannot take it now. Uses up no attempt. `Homing.session_is_free` makes it come sooner."""
        await self._dispatcher.answer(self, "busy", retry_after=retry_after, reason=reason)

    async def gone(self, reason: str = "there is no such session") -> None:
        """The session exists no more: the follow-up is dead at once, and stays shown."""
        await self._dispatcher.answer(self, "gone", reason=reason)

    async def failed(self, error: str) -> None:
        """The attempt failed; it is worth trying again."""
        await self._dispatcher.answer(self, "failed", reason=error)


class WakeStream:
    """What `Homing.wakes` returns: an asynchronous iterator. `aclose`, or the end of an `async with`, hands back what
    was not answered, without using up an attempt (where an exception ends the block, the attempt has failed); with the last stream of a home, this process stops being its monitor.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._taken: WeakSet[Wake] = WeakSet()
        self._is_closed = False
        dispatcher.streams += 1

    def __aiter__(self) -> WakeStream:
        return self

    async def __anext__(self) -> Wake:
        wake = None if self._is_closed else await self._dispatcher.take(self)
        if wake is None:
            raise StopAsyncIteration
        self._taken.add(wake)
        return wake

    async def __aenter__(self) -> WakeStream:
        """From here on this process is the monitor, or waits to be."""
        self._dispatcher.start(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A wake that its agent fails on must not come again for ever; who is cancelled has not failed.
        if isinstance(error, Exception):
            for wake in list(self._taken):
                wake._offer.answer("failed", reason=f"{type(error).__name__}: {error}")
        await self.aclose()

    async def aclose(self) -> None:
        """Ends it."""
        if self._is_closed:
            return
        taken = list(self._taken)
        self._close()
        for wake in taken:
            hand_back(wake._offer)
        await self._dispatcher.until_stopped()

    def _close(self) -> None:
        self._is_closed = True
        self._dispatcher.leave(self)

    def __del__(self) -> None:
        if not self._is_closed:
            self._close()


def hand_back(offer: _homing.Offer) -> None:
    """Nobody here answers it any more: whoever takes wakes next gets it, at once."""
    offer.answer("busy", retry_after_ms=0, reason=_HANDED_BACK)


class Dispatcher:
    """Gives the wakes of one home to the tasks of one event loop."""

    def __init__(self, homing: Homing, home: _homing.Home, sessions: str, timeout_ms: int) -> None:
        self.asked = (sessions, timeout_ms)
        self.streams = 0
        self._homing = homing
        self._home = home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: _homing.WakeFeed | None = None
        self._untaken: deque[Wake] = deque()
        self._takers: deque[tuple[WakeStream, asyncio.Future[Wake | None]]] = deque()
        self._unrecorded: dict[str, asyncio.Future[str]] = {}
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._error: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it gives out no more wakes."""
        return self._is_stopping or self._stopped.is_set() or (self._loop is not None and self._loop.is_closed())

    def retire(self) -> None:
        """Stops the monitor, and hands back what nobody has taken."""
        if self._feed is not None and not self._stopped.is_set():
            self._is_stopping = True
            self._feed.stop()
            # The event loop may be gone, or go now, and would not hear it.
            self._hear()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to consume wakes, in this loop from now on."""
        if self._loop is None:
            self._feed = self._home.wakes(*self.asked)
            self._loop = loop
            loop.add_reader(self._feed.fileno(), self._hear)
        elif self._loop is not loop:
            raise InvalidRequest("the wakes of a home are consumed in one event loop")

    def session_is_free(self, session: str) -> None:
        if self._feed is not None:
            self._feed.session_is_free(session)

    async def take(self, stream: WakeStream) -> Wake | None:
        """The next wake; `None` when there are none any more."""
        self.start(asyncio.get_running_loop())
        if self._untaken:
            return self._untaken.popleft()
        if self._stopped.is_set():
            return self._no_more()
        claimant: asyncio.Future[Wake | None] = asyncio.get_running_loop().create_future()
        self._takers.append((stream, claimant))
        try:
            wake = await claimant
        except asyncio.CancelledError:
            if claimant.cancelled():
                with suppress(ValueError):
                    self._takers.remove((stream, claimant))
            elif claimant.done() and (wake := claimant.result()) is not None:
                # It came together with the cancellation: somebody else takes it.
                self._untaken.appendleft(wake)
                self._distribute()
            raise
        return wake if wake is not None else self._no_more()

    async def answer(
        self, wake: Wake, answer: Answer, *, retry_after: Seconds | None = None, reason: str = ""
    ) -> None:
        """Answers, and returns when that is on disk."""
        millis = None if retry_after is None else to_millis(retry_after)
        loop = asyncio.get_running_loop()
        recorded: asyncio.Future[str] = loop.create_future()
        # Only in its own event loop, and before the monitor has ended, is an answer heard to be on disk.
        is_heard = loop is self._loop and not self._stopped.is_set()
        if is_heard and wake._offer.is_open:
            self._unrecorded[wake.id] = recorded
        in_time = wake._offer.answer(answer, retry_after_ms=millis, reason=reason)
        if in_time and is_heard and await recorded == answer:
            return
        if self._unrecorded.get(wake.id) is recorded:
            del self._unrecorded[wake.id]
        # Perhaps too late for this attempt; what the session knows it need not be told again.
        if answer == "delivered":
            with suppress(NoSuchJob):
                await in_thread(self._home.acknowledge, [job.id for job in wake.jobs])

    def leave(self, stream: WakeStream) -> None:
        """Lets a stream go; with the last one the monitor stops."""
        self.streams -= 1
        for waiting, claimant in self._takers:
            if waiting is stream:
                self._settle(claimant, None)
        if self.streams == 0:
            self.retire()

    async def until_stopped(self) -> None:
        """Returns when this process is no longer the monitor, unless somebody else still takes wakes."""
        if self._is_stopping and asyncio.get_running_loop() is self._loop:
            await self._stopped.wait()

    def _hear(self) -> None:
        assert self._feed is not None
        while (news := self._feed.next()) is not None:
            if news[0] == "wake":
                self._untaken.append(self._wake(news[1]))
            elif news[0] == "recorded":
                wake_id, answer = news[1]
                if (recorded := self._unrecorded.pop(wake_id, None)) is not None:
                    self._settle(recorded, answer)
            elif news[0] == "said":
                event, text = news[1]
                _log.log(_LEVELS.get(event, logging.DEBUG), "%s", text)
            else:
                self._stop(news[1])
        self._distribute()

    def _stop(self, error: str | None) -> None:
        assert self._loop is not None and self._feed is not None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._feed.fileno())
        self._error = error
        self._stopped.set()
        for recorded in self._unrecorded.values():
            self._settle(recorded, "lost")
        for _, claimant in self._takers:
            self._settle(claimant, None)

    def _settle(self, future: asyncio.Future[Superseded], result: Superseded) -> None:
        if not future.done() and not future.get_loop().is_closed():
            future.set_result(result)

    def _no_more(self) -> Wake | None:
        if self._error is not None:
            raise Unavailable(self._error)
        return None

    def _distribute(self) -> None:
        while self._untaken and self._takers and not self._is_stopping:
            _, claimant = self._takers.popleft()
            if not claimant.done():
                claimant.set_result(self._untaken.popleft())
        if self._is_stopping:
            while self._untaken:
                hand_back(self._untaken.popleft()._offer)

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
