"""A Redis server's clock, as estimated in this process. Entries and deadlines expire by that clock.

This process's own wall clock plays no part: it may be wrong, and may be set at any time.
"""

from __future__ import annotations

import time


class ServerClock:
    """The monotonic clock of this process, plus an offset that the server's replies to TIME tell.

    The estimate is never ahead of the server's clock, as long as nobody sets that one back. It lags
    by the time that the last observed reply took to come back.
    """

    def __init__(self) -> None:
        self.offset_ms = time.time() * 1000 - time.monotonic() * 1000

    def observe(self, seconds: int, microseconds: int) -> None:
        """Note the server's reply to TIME, which has just arrived."""
        self.offset_ms = seconds * 1000 + microseconds / 1000 - time.monotonic() * 1000

    def now_ms(self) -> int:
        return int(time.monotonic() * 1000 + self.offset_ms)

    def at(self, loop_time: float) -> int:
        """Return the server's time in ms, rounded down, at a time of the event loop."""
        # Event loops count their time by the monotonic clock.
        return int(loop_time * 1000 + self.offset_ms)
