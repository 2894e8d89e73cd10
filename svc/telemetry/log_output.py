"""Write whole lines to a stream, even if other processes share it or it is non-blocking."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable
from typing import TextIO


def writer_to(stream: TextIO, *, is_shared: bool) -> Callable[[str], object]:
    """Return a function that writes to the stream, to its file descriptor if it has one.

    It waits until everything is written, and raises OSError if the reader has gone. ``is_shared``:
    processes that inherited the same descriptor write to it too; their lines are not mixed.

    A thread that is blocked in a buffered write holds the buffer's lock. Python flushes the buffer
    at exit, and would wait for that lock forever.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        return write

    def write_through(text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        is_locked = is_shared and _lock(descriptor, fcntl.LOCK_EX)
        try:
            while data:
                try:
                    data = data[os.write(descriptor, data) :]
                except BlockingIOError:
                    # Another holder of the terminal or pipe, such as a program in Node.js, has made
                    # it non-blocking for all of them.
                    _wait_writable(descriptor)
        finally:
            if is_locked:
                _lock(descriptor, fcntl.LOCK_UN)

    return write_through


def _lock(descriptor: int, operation: int) -> bool:
    """Lock or unlock. The lock belongs to the process, and ends with it."""
    try:
        fcntl.lockf(descriptor, operation)
    except OSError:  # a kind of file without locks: long lines of several processes may mix
        return False
    return True


def _wait_writable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
