"""The channel between a worker and its supervisor: "I serve" one way, "drain" the other.

It is a socket pair. Signals are not suitable: after a signal to the whole process group, the worker
would get a second one from the supervisor, and a second signal means "end at once".
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from ..parent_death_signal import set_parent_death_signal


class WorkerChannel:
    """The worker's end. The supervisor closes the other end when the worker is to drain."""

    def __init__(self, descriptor: int, parent: int) -> None:
        """Take over the inherited socket. From now on the worker is killed with its parent."""
        # SIGKILL, without a drain: the supervisor's successor needs the ports at once.
        set_parent_death_signal(parent, signal.SIGKILL)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def send_serving(self, admin_port: int) -> None:
        """Tell the supervisor that the worker serves, and its admin port."""
        with contextlib.suppress(OSError):  # the supervisor has already told it to drain
            self._socket.send(b"%d\n" % admin_port)

    def on_drain(self, call: Callable[[], None]) -> None:
        """Call ``call`` on the running loop once the supervisor closes its end."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(self._socket)
            call()

        # The supervisor sends nothing, so "readable" means "closed".
        loop.add_reader(self._socket, readable)
