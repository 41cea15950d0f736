"""What a child made by fork must not share with its parent."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import _homing

_homes: set[str] = set()

# Ledgers that a process took over from the one that forked it must not even be closed there (sqlite.org/howtocorrupt).
_left_alone: list[_homing.Home] = []


def share_nothing(home: str) -> None:
    """From now on children let go of the files that are open in this home, but for the ledger itself.

    A lock is held for as long as any process has the file open that it was taken on (flock(2)): a child that lives on would
    be the monitor in place of a parent that is dead, and whoever was in the middle of something would never be done.
    """
    if not _homes:
        os.register_at_fork(after_in_child=_let_go)
    _homes.add(os.path.realpath(home))


def leave_alone(home: _homing.Home) -> None:
    """Keeps a home of the parent's as it is, for as long as this process lives."""
    _left_alone.append(home)


def _let_go() -> None:
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
