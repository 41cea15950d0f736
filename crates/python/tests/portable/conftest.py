"""A home, and commands that every system runs."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import DEADLINE, home_in, wait_until

Answer = TypeVar("Answer")

if sys.platform == "win32":

    @pytest.fixture
    def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
        """A home that `Homing()` opens. The test fails if a process that it leaves behind has a file of the home open."""
        home = home_in(tmp_path, monkeypatch)
        yield home
        # pytest would keep the object that has the home open in this process.
        request.node.funcargs.clear()
        gc.collect()

        def is_gone() -> bool:
            # Windows removes no file that is open.
            shutil.rmtree(home, ignore_errors=True)
            return not home.exists()

        wait_until(is_gone, "no process has a file of the home open", within=20)


class LoopWithoutDescriptors(asyncio.SelectorEventLoop):
    """An event loop that waits for no descriptors, as that of Windows."""

    def add_reader(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.fixture(params=[asyncio.new_event_loop, LoopWithoutDescriptors], ids=["default", "without-descriptors"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Answer]], Answer]:
    """Runs a coroutine in an event loop of each kind, and closes the loop."""

    def run(main: Coroutine[Any, Any, Answer]) -> Answer:
        loop = request.param()
        try:
            answer: Answer = loop.run_until_complete(asyncio.wait_for(main, DEADLINE))
            return answer
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run
