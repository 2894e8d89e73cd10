"""Turns of operations that carry many bytes, so that a small one never waits for more than a few.

Each takes milliseconds of this process and of Redis. If all of them were sent at once, a small one
would wait for them all, and perhaps for a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..domain.errors import StoreUnavailable
from ..telemetry.loop_clock import loop_clock

#: A larger operation takes a turn. The first read of a batch, which is mostly small, takes none.
LARGE_BYTES: Final = 1 << 18
#: How many of them are under way.
AT_ONCE: Final = 2
#: After this time, an operation keeps the next one waiting no longer: its server may be slow.
PATIENCE_SECONDS: Final = 0.05

Result = TypeVar("Result")


class Turns:
    """Lets large operations begin in the order in which they came."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def run(
        self, size: int, deadline: float, operation: Callable[[float], Awaitable[Result]]
    ) -> Result:
        """Run the operation, which carries ``size`` bytes, with its deadline by the LoopClock.

        Raises StoreUnavailable if its turn does not come in time.
        """
        if size <= LARGE_BYTES:
            return await operation(deadline)
        loop = asyncio.get_running_loop()
        try:
            async with loop_clock().timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise StoreUnavailable("the store did not take other values in time") from None
        patience = loop.call_later(PATIENCE_SECONDS, self._free.release)
        try:
            return await operation(deadline)
        finally:
            if patience.when() > loop.time():  # else it is called, or will be
                patience.cancel()
                self._free.release()
