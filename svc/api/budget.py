"""The byte budget: what clients can make the process hold in memory, taken before it is held.

Taken from it are request bodies while they arrive and are used, values that are read for an answer,
and answers that a client has not received yet. Messages of less than SMALL_BYTES are not counted:
``max_in_flight`` bounds them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from typing import Final

from aiohttp import web

from ..domain.errors import Overloaded
from ..telemetry.instruments import Counter
from ..telemetry.trace import TRACE

SMALL_BYTES: Final = 16_384
#: What a connection takes whose client is sending a body: a task, a request, buffers.
RECEIVING_BYTES: Final = 8_192
#: After so many bytes, or after fewer and a pause, the C library is to give freed memory back.
RETURN_BYTES: Final = 4_194_304


class ByteBudget:
    """Counts bytes held. ``rejected`` counts the requests refused for want of room."""

    def __init__(self, limit: int, rejected: Counter) -> None:
        self.limit = limit
        self.held = 0
        self._rejected = rejected
        self._taken_since_collection = 0
        #: Bytes that came into or left memory since it was returned, and those at the last look.
        self._moved = self._moved_before = 0

    def has_room(self, size: int) -> bool:
        return self.held + size <= self.limit

    def check(self, size: int) -> None:
        """Raise Overloaded if there is no room for ``size`` more bytes."""
        if not self.has_room(size):
            self._rejected["overloaded",] += 1
            raise Overloaded("the requests under way here hold too many bytes; nothing was applied")

    def hold(self, size: int) -> None:
        """Count the bytes, even beyond the limit. They are held already.

        Collect garbage each time that as many bytes as the limit were taken. The collector itself
        counts objects, and a cycle of a few objects may keep a large body.
        """
        self.held += size
        self._moved += size
        self._taken_since_collection += size
        if self._taken_since_collection > self.limit:
            self._taken_since_collection = 0
            gc.collect()

    def release(self, size: int) -> None:
        self.held -= size
        # Memory that was returned while they were held still has to be returned for them.
        self._moved += size

    def count_passed(self, size: int) -> None:
        """Count bytes that arrived and may be dropped, such as a refused body."""
        self._moved += size

    def return_memory(self) -> None:
        """Give freed memory back to the system if it is time. Call it regularly."""
        large, pause = self._moved >= RETURN_BYTES, self._moved == self._moved_before
        if self._moved and (large or pause):
            return_memory()
            # The last of many bytes may be freed only now: once more, after a pause.
            self._moved = 0 if pause else 1
        self._moved_before = self._moved


def return_memory() -> None:
    """Ask glibc to give freed memory back. By itself it keeps the parts in which bodies arrived."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


BUDGET: Final = web.AppKey("budget", ByteBudget)


def take_bytes(request: web.Request, size: int) -> None:
    """Take bytes from the budget until the request ends. Raises Overloaded."""
    budget = request.app[BUDGET]
    budget.check(size)
    budget.hold(size)
    TRACE.get().held_bytes += size
