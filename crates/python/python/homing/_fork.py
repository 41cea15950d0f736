"""Opening a home so that a child made by fork shares nothing with its parent."""

from __future__ import annotations

import os

from . import _homing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_homes: set[str] = set()

# Ledgers that a process took over from the one that forked it must not even be closed there (sqlite.org/howtocorrupt).
_left_alone: list[_homing.Home] = []


def open_home(path: str | None, in_place_of: _homing.Home | None, **options: Any) -> _homing.Home:
    """Opens a home; in a child, in place of the one that its parent had open."""
    if in_place_of is not None:
        _left_alone.append(in_place_of)
    home = _homing.Home(path, **options)
    if not _homes:
        os.register_at_fork(after_in_child=_let_go)
    _homes.add(os.path.realpath(path or home.path))
    return home


def _let_go() -> None:
    """Lets go of the files that the parent has open in its homes, but for the ledgers themselves.

    A lock is held for as long as any process has the file open that it was taken on (flock(2)): a child that lives on would
    be the monitor in place of a parent that is dead, and whoever was in the middle of something would never be done.
    """
    try:
        descriptors = os.listdir("/proc/self/fd")
        null = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return
    for descriptor in descriptors:
        try:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if any(path.startswith(f"{home}/") and not path.startswith(f"{home}/ledger.db") for home in _homes):
            # Who believes to have it must not close a number that is somebody else's by then.
            os.dup2(null, int(descriptor), inheritable=False)
    os.close(null)
