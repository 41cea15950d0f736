"""Finds the `homing` program of this package, which supervises the jobs."""

from __future__ import annotations

import os
import sys

VARIABLE = "HOMING_SUPERVISOR"


def find_program() -> str | None:
    """Its path; `None` if the library should search itself (`$HOMING_SUPERVISOR`, then `PATH`)."""
    if os.environ.get(VARIABLE):
        return None
    return next((path for path in _candidates() if os.access(path, os.X_OK)), None)


def _candidates() -> list[str]:
    package = os.path.dirname(os.path.abspath(__file__))
    site = os.path.dirname(package)
    programs = ("Scripts", "homing.exe") if sys.platform == "win32" else ("bin", "homing")
    prefixes = [
        sys.prefix,
        # `pip install --target`, then lib/pythonX.Y/site-packages below any prefix (`--prefix`, `--user`).
        site,
        os.path.normpath(os.path.join(site, "..", "..", "..")),
    ]
    return [os.path.join(prefix, *programs) for prefix in prefixes]
