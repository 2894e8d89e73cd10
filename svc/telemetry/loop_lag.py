"""How late the event loop is: what a blocked loop does to every request at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from .instruments import Histogram

#: Four times a second would miss one block of 200 ms in five; so it is never seen as less than 150.
PERIOD_SECONDS: Final = 0.05


class LoopLag:
    """Sets a timer again and again, and observes how much later than due it is called."""

    def __init__(self, lag: Histogram) -> None:
        self._lag = lag
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        # The loop's own clock stands still within a turn, and uvloop's counts milliseconds.
        self._due = time.perf_counter() + PERIOD_SECONDS
        self._handle = asyncio.get_running_loop().call_later(PERIOD_SECONDS, self._observe)

    def _observe(self) -> None:
        self._lag.observe(max(0.0, time.perf_counter() - self._due))
        self.start()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
