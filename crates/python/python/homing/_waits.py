"""Waits for jobs in an event loop, with one watch for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ._readers import start_reader
from ._threads import in_thread

if TYPE_CHECKING:
    from . import _homing
    from ._readers import Readable

FALLBACK_PAUSE = 0.1
"""Seconds between two checks of a job if the kernel has no watch left (inotify(7))."""


async def until_readable(readable: Readable) -> None:
    """Waits until there is something to read; if the kernel has no watch left, for a short time. Only one caller may wait for
    it.
    """
    is_readable = asyncio.Event()
    reader = start_reader(asyncio.get_running_loop(), readable, is_readable.set)
    if reader is None:
        return await asyncio.sleep(FALLBACK_PAUSE)
    try:
        await is_readable.wait()
    finally:
        reader.close()


class WaitsByLoop:
    """All waits of one home, by event loop."""

    def __init__(self, home: _homing.Home) -> None:
        self._home = home
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWaits] = WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> LoopWaits:
        waits = self._by_loop.get(loop)
        if waits is None:
            waits = self._by_loop[loop] = LoopWaits(self._home, loop)
        return waits


class LoopWaits:
    """All waits of one home in one event loop."""

    def __init__(self, home: _homing.Home, loop: asyncio.AbstractEventLoop) -> None:
        self._home = home
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._watch = home.watch()
        self._reader = None if self._watch is None else start_reader(loop, self._watch, self._on_readable)

    async def until_finished(self, ids: list[str], *, any: bool, timeout: float | None) -> None:
        """Returns when all jobs have finished, with `any` when one has, or after the timeout."""
        waits = [asyncio.ensure_future(self._one(id)) for id in dict.fromkeys(ids)]
        if not waits:
            return
        until = asyncio.FIRST_COMPLETED if any else asyncio.FIRST_EXCEPTION
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout, return_when=until)
        finally:
            for wait in waits:
                wait.cancel()
        for wait in done:
            wait.result()

    async def _one(self, id: str) -> None:
        changed = asyncio.Event()
        self._waiting.setdefault(id, set()).add(changed)
        try:
            # Watch before checking, so that no change in between is missed.
            watched = self._watch is not None and self._watch.add(id)
            while not await in_thread(self._home.is_finished, id):
                if watched:
                    await changed.wait()
                    changed.clear()
                else:
                    await asyncio.sleep(FALLBACK_PAUSE)
        finally:
            self._waiting[id].discard(changed)
            if not self._waiting[id]:
                del self._waiting[id]
                if self._watch is not None:
                    self._watch.remove(id)

    def _on_readable(self) -> None:
        assert self._watch is not None
        for id in self._watch.changed():
            for changed in self._waiting.get(id, ()):
                changed.set()
