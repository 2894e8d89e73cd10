"""A token bucket: limits a rate per second."""

from __future__ import annotations

import time


class TokenBucket:
    """Allows ``per_second`` events a second, in bursts of up to that many; zero means no limit."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = per_second
        self._since = time.monotonic()

    def take(self) -> bool:
        """Take a token. Return False if none is left."""
        if not self._per_second:
            return True
        now = time.monotonic()
        grown = self._tokens + (now - self._since) * self._per_second
        self._tokens = min(grown, max(1.0, self._per_second))
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
