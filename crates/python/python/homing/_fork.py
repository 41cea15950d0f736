"""Opens a home so that a forked child shares nothing with its parent."""

from __future__ import annotations

import os
import sys

from . import _homing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_homes: set[str] = set()

# A forked child must not close the ledgers of its parent (sqlite.org/howtocorrupt).
_never_closed: list[_homing.Home] = []


def open_home(path: str | None, in_place_of: _homing.Home | None, **options: Any) -> _homing.Home:
    """Opens a home; in a forked child, in place of the home of its parent."""
    if in_place_of is not None:
        _never_closed.append(in_place_of)
    home = _homing.Home(path, **options)
    # Windows has no fork.
    if sys.platform != "win32" and not _homes:
        os.register_at_fork(after_in_child=_close_inherited)
    _homes.add(os.path.realpath(path or home.path))
    return home


def _close_inherited() -> None:
    """Closes the files that the parent has open in its homes, except for the ledgers.

    A lock is held while any process has the locked file open (flock(2)). Without this, a child that survives its parent
    would keep the monitor lock and every other lock of the parent.
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
            # Replaced, not closed: the old owner must not close a descriptor number that was reused.
            os.dup2(null, int(descriptor), inheritable=False)
    os.close(null)
