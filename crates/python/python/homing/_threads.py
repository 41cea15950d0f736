"""Threads for short blocking calls. The default executor of the event loop belongs to the application, which may keep all
of its threads busy.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_THREADS = 8
"""Maximum number of concurrent calls. Further calls wait; each takes milliseconds."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_threads: tuple[int, ThreadPoolExecutor] | None = None


async def in_thread(
    call: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Runs a blocking call without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_executor(), lambda: call(*arguments, **named))


def _executor() -> ThreadPoolExecutor:
    global _threads
    # A forked child does not have the threads of its parent.
    if _threads is None or _threads[0] != os.getpid():
        _threads = (os.getpid(), ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="homing"))
    return _threads[1]
