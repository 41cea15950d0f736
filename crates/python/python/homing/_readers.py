"""Calls a function in an event loop when something can be read.

Event loops wait for descriptors themselves. On Windows there are none: a thread for each event loop waits for all that it has
to wait for. Nothing is looked at from time to time.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary, finalize, ref

from . import _homing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Readable(Protocol):
    """An object of the extension that can be read at times."""

    def fileno(self) -> int | None: ...
    def source(self) -> _homing.Source | None: ...


class Reader(Protocol):
    """A registration in an event loop."""

    def close(self) -> None:
        """Ends it. The function is not called again."""


def start_reader(loop: asyncio.AbstractEventLoop, readable: Readable, ready: Callable[[], None]) -> Reader | None:
    """Calls `ready` in the event loop while something can be read, until the result is closed or released. `None` if the
    kernel has no watch left (inotify(7)): then look from time to time.
    """
    descriptor = readable.fileno()
    if descriptor is not None:
        try:
            loop.add_reader(descriptor, ready)
        except NotImplementedError:
            pass
        else:
            return _LoopReader(loop, descriptor)
    source = readable.source()
    return None if source is None else _ThreadReader(_thread_of(loop), source, ready)


class _LoopReader:
    """A registration of a descriptor. The event loop has it until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        # Not to keep the loop alive: its registrations end with it.
        self._loop = ref(loop)
        self._descriptor = descriptor

    def close(self) -> None:
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._descriptor)


class _ThreadReader:
    """A registration in the thread of an event loop."""

    def __init__(self, thread: _LoopThread, source: _homing.Source, ready: Callable[[], None]) -> None:
        self._thread = thread
        self._source = source
        self._ready = ready
        self._is_closed = False
        self._number = thread.add(self)
        thread.waiter.arm(self._number, source)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._thread.waiter.disarm(self._number)

    def call(self) -> None:
        """Calls the function. The thread waits for the source again after that, because it is ready until it is read."""
        if not self._is_closed:
            try:
                self._ready()
            finally:
                if not self._is_closed:
                    self._thread.waiter.arm(self._number, self._source)

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            self.close()


class _LoopThread:
    """The thread that waits for an event loop. It ends with the loop, and at the end of the interpreter."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiter = _homing.Waiter()
        # Readers belong to their callers, and may refer to the loop: they must not keep it alive.
        self._readers: WeakValueDictionary[int, _ThreadReader] = WeakValueDictionary()
        self._numbers = count()
        thread = threading.Thread(target=_serve, args=(self.waiter, ref(loop), ref(self)), name="homing-reader", daemon=True)
        finalize(loop, _end, self.waiter, thread)
        thread.start()

    def add(self, reader: _ThreadReader) -> int:
        number = next(self._numbers)
        self._readers[number] = reader
        return number

    def call(self, number: int) -> None:
        """Calls a reader, in the event loop."""
        reader = self._readers.get(number)
        if reader is not None:
            reader.call()


_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopThread] = WeakKeyDictionary()


def _thread_of(loop: asyncio.AbstractEventLoop) -> _LoopThread:
    thread = _threads.get(loop)
    if thread is None:
        thread = _threads[loop] = _LoopThread(loop)
    return thread


def _serve(
    waiter: _homing.Waiter, loop: ref[asyncio.AbstractEventLoop], own: ref[_LoopThread]
) -> None:
    while numbers := waiter.wait():
        target, thread = loop(), own()
        if target is None or thread is None:
            return
        try:
            for number in numbers:
                target.call_soon_threadsafe(thread.call, number)
        except RuntimeError:
            # The loop is closed.
            return
        # Not to keep them alive during the wait.
        del target, thread


def _end(waiter: _homing.Waiter, thread: threading.Thread) -> None:
    waiter.stop()
    # The loop may end in this very thread.
    if thread is not threading.current_thread():
        thread.join()
