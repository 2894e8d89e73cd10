"""The Redis server's clock, by which entries expire, as seen from this process."""

from __future__ import annotations

import time
from typing import Final

#: How long an offset is trusted before it is asked for again, in seconds.
TRUSTED_SECONDS: Final = 1.0


class ServerClock:
    """The process's clock, corrected by the offset last seen between it and the server's.

    Pods' clocks drift apart; TTLs reported from two of them must not.
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
