"""The channel between a worker and its supervisor: "I serve" and beats one way, "drain" the other.

It is a socket pair. Signals are not suitable: a worker can't tell whether its supervisor sent one,
or somebody who signals all processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import Final

from ..parent_death_signal import set_parent_death_signal
from .stop_order import StopOrder

#: How often a serving worker's event loop says that it still turns.
BEAT_SECONDS: Final = 1.0
#: What the supervisor sends before it closes its end, if Ctrl-C is the reason.
INTERRUPT: Final = b"interrupt\n"


class WorkerChannel:
    """The worker's end. The supervisor closes the other end when the worker is to drain."""

    def __init__(self, descriptor: int, parent: int) -> None:
        """Take over the inherited socket. From now on the worker is killed with its parent."""
        # SIGKILL, without a drain: the supervisor's successor needs the ports at once.
        set_parent_death_signal(parent, signal.SIGKILL)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def send_serving(self, admin_port: int) -> None:
        """Tell the supervisor that the worker serves, and its admin port. Begin to beat."""
        self._send(b"%d\n" % admin_port)
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self._send(b"\n")
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _send(self, line: bytes) -> None:
        # An OSError: the supervisor has told it to drain, or does not read.
        with contextlib.suppress(OSError):
            self._socket.send(line)

    def on_drain(self, stop: StopOrder) -> None:
        """Give the order on the running loop once the supervisor closes its end."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(self._socket)
            received = b""
            with contextlib.suppress(OSError):
                received = self._socket.recv(len(INTERRUPT))
            stop.give(is_interrupt=received == INTERRUPT)

        loop.add_reader(self._socket, readable)
