"""Run a command that is killed when its parent ends, however the parent ends.

Run by path, with the parent's pid and then the command: ``python -I -S leash.py PID COMMAND …``.
The kernel keeps the promise on Linux, where it watches the thread that started the command;
elsewhere the parent has to keep it itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have gone before the kernel was told to watch it.
        if os.getppid() != parent:
            sys.exit(0)
    try:
        os.execvp(command[0], command)  # noqa: S606 - this is what it is for
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
