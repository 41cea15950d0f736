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
    # `pip install` into an environment, with `--target`, and below any prefix (`--prefix`, `--user`; sysconfig).
    if sys.platform == "win32":
        places = [
            (sys.prefix, "Scripts", "homing.exe"),
            (site, "bin", "homing.exe"),
            # Lib/site-packages; with `--user`, PythonXY/site-packages beside PythonXY/Scripts.
            (site, "..", "..", "Scripts", "homing.exe"),
            (site, "..", "Scripts", "homing.exe"),
        ]
    else:
        # lib/pythonX.Y/site-packages.
        places = [(sys.prefix, "bin", "homing"), (site, "bin", "homing"), (site, "..", "..", "..", "bin", "homing")]
    return [os.path.normpath(os.path.join(*place)) for place in places]
