"""The Redis server's clock, as estimated in this process. Entries expire by that clock."""

from __future__ import annotations

import time
from typing import Final

#: How long an observed offset is used before the server is asked again, in seconds.
TRUSTED_SECONDS: Final = 1.0


class ServerClock:
    """The local clock, corrected by its last observed offset from the server's clock.

    So two pods whose clocks differ report the same TTL.
    """

    def __init__(self) -> None:
        self._offset_ms = 0
        self._observed_at = float("-inf")

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self._observed_at > TRUSTED_SECONDS

    def observe(self, server_ms: int) -> None:
        self._offset_ms = server_ms - time.time_ns() // 1_000_000
        self._observed_at = time.monotonic()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms
