"""A program that runs a command and has the kernel kill it when the parent process ends.

Run by path: ``python -I -S parent_death_signal.py PARENT_PID COMMAND …``. It imports little,
because every child process starts with it. On Linux the kernel sends SIGKILL when the thread that
started the command ends (``PR_SET_PDEATHSIG``, see prctl(2)). On other systems the command just
runs.
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
        # The parent may have ended before prctl was called.
        if os.getppid() != parent:
            sys.exit(0)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is the rehearsal's own
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
