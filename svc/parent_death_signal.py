"""Child processes that end when their parent ends, even if the parent is killed.

Two layers need it: `stores/embedded` for redis-server, `serving` for worker processes. Neither may
import the other, so it stands at the top level and imports nothing of this package.

This file is also a program, which replaces itself with a command (exec):
``python -I -S parent_death_signal.py PARENT_PID COMMAND …``.
"""

import ctypes
import os
import signal
import sys

#: prctl(2): the signal that the kernel sends to this process when its parent ends.
PR_SET_PDEATHSIG = 1


def set_parent_death_signal(parent: int, number: signal.Signals) -> None:
    """Ask the kernel to send this process ``number`` when its parent ends. Linux only.

    End the process at once if ``parent``, a pid, is no longer its parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        # The parent may have ended before the call; then no signal will come.
        if os.getppid() != parent:
            sys.exit(0)


if __name__ == "__main__":
    command = sys.argv[2:]
    os.umask(0o077)  # what the command writes is private
    set_parent_death_signal(int(sys.argv[1]), signal.SIGTERM)
    os.execv(command[0], command)  # noqa: S606 - replaces this program with the command
