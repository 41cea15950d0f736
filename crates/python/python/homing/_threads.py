"""Threads of this package's own for short calls that block. Those of the event loop belong to the application, whose calls may
hold all of them for as long as they like.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_THREADS = 8
"""More calls than that wait for each other; each takes milliseconds."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_threads: tuple[int, ThreadPoolExecutor] | None = None


async def in_thread(
    call: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Makes a call that blocks without holding up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_executor(), lambda: call(*arguments, **named))


def _executor() -> ThreadPoolExecutor:
    global _threads
    # A child made by fork has none of the threads of its parent.
    if _threads is None or _threads[0] != os.getpid():
        _threads = (os.getpid(), ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="homing"))
    return _threads[1]
