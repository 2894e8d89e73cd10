"""The order to stop: SIGTERM, SIGINT, or a message from a worker's supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

#: Signals within this time of the first are the same order. Whoever stops a process group, such as
#: ``make``, a terminal or an init system, signals the process directly and through its parent.
SAME_ORDER_SECONDS: Final = 1.0


class StopOrder:
    """Says once that the process must drain and end."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        #: True if it was SIGINT: somebody at a terminal waits for the end.
        self.is_interrupt = False

    def give(self, *, is_interrupt: bool) -> None:
        """Give the order. Only the first one counts."""
        if not self._given.is_set():
            self.is_interrupt = is_interrupt
            self._given.set()

    async def wait(self) -> None:
        """Wait until the order is given."""
        await self._given.wait()

    def accept_signals(self, last: Callable[[], None] | None = None) -> None:
        """Take the first SIGTERM or SIGINT for the order.

        Ignore further ones for SAME_ORDER_SECONDS. After that, one calls ``last`` and exits.
        """
        loop = asyncio.get_running_loop()
        # The order itself may have come from the supervisor, which is no signal.
        first_at: list[float] = []

        def on_signal(number: int) -> None:
            self.give(is_interrupt=number == signal.SIGINT)
            if not first_at:
                first_at.append(loop.time())
            elif loop.time() - first_at[0] > SAME_ORDER_SECONDS:
                if last is not None:
                    last()
                os._exit(128 + number)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
