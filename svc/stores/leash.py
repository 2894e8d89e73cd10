"""Run a command that ends when its parent does, however the parent ends.

Run by path, with the parent's pid and then the command: ``python -I -S leash.py PID COMMAND …``.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process ``number`` when the parent ends; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        # The parent may have gone before the kernel was told to watch it.
        if os.getppid() != parent:
            sys.exit(0)


if __name__ == "__main__":
    command = sys.argv[2:]
    end_with(int(sys.argv[1]), signal.SIGTERM)
    os.execv(command[0], command)  # noqa: S606 - this is what it is for
