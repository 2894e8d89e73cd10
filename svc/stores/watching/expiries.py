"""When watched entries and counters expire: a timer, because Redis tells it only at the removal.

Redis removes what has expired when somebody asks for it, or when it comes across it, which with
many names may take hours. So the name is read at that time, which removes it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

from ..clock import ServerClock

#: The most expiries that are remembered. Beyond it, the later half is forgotten, and ``forgotten``
#: called before the first of those: then all have to be noted again.
MOST: Final = 100_000
#: No sooner than this: what is read a little too early is still there, in seconds.
LEAST_SECONDS: Final = 0.002


class Expiries:
    """Calls ``expired`` with each name that was noted, at its time."""

    def __init__(
        self,
        clock: ServerClock,
        expired: Callable[[bytes], None],
        forgotten: Callable[[], None],
        most: int = MOST,
    ) -> None:
        self._clock = clock
        self._expired = expired
        self._forgotten = forgotten
        self._most = most
        self._times: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        #: Expiries from here on are not remembered, in ms; None: all are.
        self._until: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, name: bytes, expires_ms: int) -> None:
        """Note when the name expires; 0: never, or it is gone."""
        if not expires_ms or (self._until is not None and expires_ms >= self._until):
            self._times.pop(name, None)
            return
        if self._times.get(name) == expires_ms:
            return
        self._times[name] = expires_ms
        heapq.heappush(self._heap, (expires_ms, name))
        if len(self._heap) > self._most:
            self._cut()
        elif self._heap[0][1] == name:
            self._set_timer()

    def clear(self) -> None:
        self._times.clear()
        self._heap.clear()
        self._until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        """Forget what is out of date, and the later half if still too much is left."""
        kept = sorted((when, name) for name, when in self._times.items())
        if len(kept) > self._most // 2:
            kept = kept[: self._most // 2]
            self._until = kept[-1][0]
            self._times = {name: when for when, name in kept}
        self._heap = kept  # sorted, so it is a heap
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [self._heap[0][0]] if self._heap else []
        if self._until is not None:
            times.append(self._until)
        if times:
            left = (min(times) - self._clock.now_ms()) / 1000
            # No timer of years: the event loop's clock and the server's may drift apart.
            seconds = min(max(left, LEAST_SECONDS), 60.0)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_ms = self._clock.now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            when, name = heapq.heappop(self._heap)
            if self._times.get(name) == when:
                del self._times[name]
                self._expired(name)
        if self._until is not None and self._until <= now_ms:
            self._until = None
            self._forgotten()
        self._set_timer()
