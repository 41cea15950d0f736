"""`python -m homing`: the command line."""

from __future__ import annotations

import os
import shutil
import sys

from ._program import VARIABLE, find_program


def main() -> None:
    program = find_program() or os.environ.get(VARIABLE) or shutil.which("homing")
    if program is None:
        sys.exit("homing: error: cannot find the homing program\nhint: install the package again, as a wheel")
    if sys.platform == "win32":
        # Windows has no exec: execv would return to the shell while the program runs. Ctrl-C is for the program.
        import signal
        import subprocess

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.call([program, *sys.argv[1:]]))
    os.execv(program, ["homing", *sys.argv[1:]])


if __name__ == "__main__":
    main()
