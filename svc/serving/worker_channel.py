"""What ties a worker to its supervisor: it says that it serves, and is told to drain.

A socket and not signals: whoever ends a whole group of processes signals supervisor and workers
alike, and a worker that hears twice would take it for haste.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from ..stores.leash import end_with


class Tether:
    """The worker's end; the supervisor's is closed when the worker is to drain."""

    def __init__(self, descriptor: int, parent: int) -> None:
        """Take over the inherited socket, and end at once if the parent is killed."""
        # A successor of the parent needs the ports, so this does not wait for a drain: a killed
        # supervisor is like a killed service of one process.
        end_with(parent, signal.SIGKILL)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def tell_serving(self, admin_port: int) -> None:
        with contextlib.suppress(OSError):  # told to drain before it began: nobody listens
            self._socket.send(b"%d\n" % admin_port)

    def watch(self, on_drain: Callable[[], None]) -> None:
        """Call ``on_drain`` once the supervisor lets go, on the running loop."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.remove_reader(self._socket)
            on_drain()

        # Nothing is ever sent this way: readable means closed.
        loop.add_reader(self._socket, look)
