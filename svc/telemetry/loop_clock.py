"""The event loop's time without what the loop itself lost: deadlines of the store are in this time.

A process that is stopped for a while (a frozen container, a debugger, a machine that is moved), or
blocked by one long call, finds the store's replies in its sockets when it goes on. Its timers are
due then, too, and run first: without this clock it would refuse what was answered long ago.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

#: How often the clock looks whether the loop lost time.
PERIOD_SECONDS: Final = 0.05
#: A shorter delay is no loss: the loop was busy, and the store was not slower for that.
STALL_SECONDS: Final = 0.1


class LoopClock:
    """One for each event loop, which counts its time by the monotonic clock."""

    def __init__(self) -> None:
        self._lost_seconds = 0.0
        self._timeouts: set[asyncio.Timeout] = set()
        self._due = time.monotonic()
        self._beat()

    def now(self) -> float:
        return time.monotonic() - self._lost_seconds

    def loop_time(self, moment: float) -> float:
        """Return when this clock will show ``moment`` if no more time is lost, in loop time."""
        return moment + self._lost_seconds

    @asynccontextmanager
    async def timeout_at(self, deadline: float) -> AsyncIterator[None]:
        """Cancel the block at the deadline, as ``asyncio.timeout_at`` does. Raises TimeoutError."""
        async with asyncio.timeout_at(self.loop_time(deadline)) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    def _beat(self) -> None:
        late = time.monotonic() - self._due
        if late >= STALL_SECONDS:
            self._lost_seconds += late
            # They are due later than this timer was, so none of them has run yet.
            for timeout in self._timeouts:
                when = timeout.when()
                if when is not None and not timeout.expired():
                    timeout.reschedule(when + late)
        self._due = time.monotonic() + PERIOD_SECONDS
        asyncio.get_running_loop().call_at(self._due, self._beat)


#: A clock does not refer to its loop, so that both can go.
_clocks: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, LoopClock]] = WeakKeyDictionary()


def loop_clock() -> LoopClock:
    """Return the clock of the running loop."""
    loop = asyncio.get_running_loop()
    clock = _clocks.get(loop)
    if clock is None:
        clock = _clocks[loop] = LoopClock()
    return clock
