"""The event loop's lag: how late it calls a timer. A blocked loop delays every request."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from .instruments import Histogram

#: The loop's lag is observed this often. A block of 200 ms is then seen as at least 150 ms; a
#: period of 250 ms would miss one block in five.
PERIOD_SECONDS: Final = 0.05


class LoopLag:
    """Sets a timer repeatedly and observes how many seconds late it is called."""

    def __init__(self, lag: Histogram) -> None:
        self._lag = lag
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        # Not loop.time(): it stands still within a turn, and uvloop's counts whole milliseconds.
        self._due = time.perf_counter() + PERIOD_SECONDS
        self._handle = asyncio.get_running_loop().call_later(PERIOD_SECONDS, self._observe)

    def _observe(self) -> None:
        self._lag.observe(max(0.0, time.perf_counter() - self._due))
        self.start()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
