"""Many connections at once, and the files that a process may open for them."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import time
from typing import Final, Self

from bench.frame.errors import BenchError, Unavailable

#: How long an answer may take to reach everybody before it counts as lost, in seconds.
PATIENCE_SECONDS: Final = 30.0


def allow_open_files(count: int) -> None:
    """Let this process, and those that it starts, open as many files; raise Unavailable."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise Unavailable(f"a process may open {hard} files here, {count} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Crowd:
    """Connections in one thread: sockets and a selector, because a task each would cost as much.

    Each has sent one request. On entry, all have been answered: a watch with what there is.
    """

    def __init__(
        self,
        port: int,
        paths: list[str],
        mark: bytes = b"event: synced",
        accept: str = "text/event-stream",
    ) -> None:
        self._mark = mark
        self._selector = selectors.DefaultSelector()
        self._stack = contextlib.ExitStack()
        self.size = len(paths)
        for number, path in enumerate(paths):
            each = self._stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            each.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\nAccept: {accept}\r\n\r\n".encode())
            self._selector.register(each, selectors.EVENT_READ, number)

    def __enter__(self) -> Self:
        self.wait_for(self._mark)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._selector.close()

    def wait_for(self, mark: bytes) -> list[float]:
        """Wait until each has received the bytes. Return when, in any order."""
        waiting = dict.fromkeys(range(self.size), b"")
        times: list[float] = []
        end = time.perf_counter() + PATIENCE_SECONDS
        while waiting:
            if time.perf_counter() > end:
                raise BenchError(f"{len(waiting)} of {self.size} were not told")
            for key, _ in self._selector.select(1.0):
                received = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not received:
                    raise BenchError("a connection has ended")
                if key.data in waiting:
                    waiting[key.data] += received
                    if mark in waiting[key.data]:
                        times.append(time.perf_counter())
                        del waiting[key.data]
        return times
