"""The back ends of the story, each with its own data, and the check that no process of a test is left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from story.backend import Backend
from story.old_store import OldStore


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seed_fails(reason): the seed is known to fail this, every time")


@pytest.fixture(params=["seed", "homing"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each of the two modules in turn."""
    if request.param == "homing":
        yield from new_backend(tmp_path, None)
        return
    if (known := request.node.get_closest_marker("seed_fails")) is not None:
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=known.args[0]))
    yield from new_backend(tmp_path, seed_folder(request.config))


@pytest.fixture
def drop_in(tmp_path: Path) -> Iterator[Backend]:
    """`homing.bg_jobs` alone."""
    yield from new_backend(tmp_path, None)


@pytest.fixture
def seed(drop_in: Backend, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The seed alone, with the data that `drop_in` has."""
    yield from new_backend(drop_in.folder, seed_folder(request.config))


@pytest.fixture
def old(drop_in: Backend) -> Iterator[OldStore]:
    """A store as the seed leaves it, in the data that `drop_in` has."""
    old = OldStore(drop_in.data, drop_in.environment)
    yield old
    old.close()


def seed_folder(config: pytest.Config) -> Path:
    given = config.getoption("--seed")
    if not given:
        pytest.skip("the seed is not there: --seed or HOMING_SEED names the folder of its bg_jobs.py")
    folder = Path(given).resolve()
    if not (folder / "bg_jobs.py").is_file() or not (folder / "core").is_dir():
        pytest.skip(f"the seed is not there: {folder} has no bg_jobs.py with its core/")
    return folder


def new_backend(folder: Path, seed: Path | None) -> Iterator[Backend]:
    backend = Backend(folder, seed)
    yield backend
    # The seed is known to leave processes behind.
    is_clean = backend.is_seed or backend.has_no_processes()
    left = backend.end_processes()
    shutil.rmtree(backend.data, ignore_errors=True)
    assert is_clean, f"left behind: {left}"
