"""Who is served: a bounded number of requests at a time. The next ones wait for their turn.

They wait in the order of their arrival, and for a bounded time. A burst passes that way. Where more
arrives than can be served, and goes on arriving, waiting serves nobody: all are answered as much
later as the queue is long, until their callers have given up and send them again. So once a queue
has lasted for half as long as a request may wait, the newest request is served first: its caller
is the most likely one to be there. Once it has lasted for as long, no more wait than can be served
in a tenth of that time, and the others are refused at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from aiohttp import web

from ..domain.errors import Overloaded
from .budget import RECEIVING_BYTES, ByteBudget
from .context import Lifecycle

#: What is served in this part of the time may wait in a queue that lasts. A queue has ended once
#: nobody has waited for as long.
SHORT: Final = 0.1
#: After this part of the time, the newest in a queue is served first.
LASTING: Final = 0.5


def no_place() -> Overloaded:
    """Return the refusal of a request for which there is no place."""
    return Overloaded("too many requests are under way here; nothing was applied")


class Waiting:
    """A request that waits, since a loop time. ``turn`` tells whether it is served."""

    __slots__ = ("since", "turn")

    def __init__(self, since: float, turn: asyncio.Future[bool]) -> None:
        self.since = since
        self.turn = turn


class Admission:
    """The places of ``max_in_flight``, and the queue before them.

    ``lifecycle.in_flight`` counts the places that are taken. Whoever gives one back while ``queue``
    is not empty calls ``let_in``.
    """

    def __init__(
        self, lifecycle: Lifecycle, budget: ByteBudget, *, places: int, wait_seconds: float
    ) -> None:
        self.lifecycle = lifecycle
        self.places = places
        self.queue: deque[Waiting] = deque()
        self._budget = budget
        self._wait_seconds = wait_seconds
        self._short_seconds = wait_seconds * SHORT
        #: The loop times since when there is a queue, and when it was last left by somebody.
        self._since = self._left = float("-inf")
        #: How many were let in since a loop time, and how many are in ``_short_seconds``.
        self._let_in = 0
        self._counted_since = 0.0
        self._pace = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def refuses(self) -> bool:
        """Return True if a request that arrives now is to be refused at once."""
        if self.lifecycle.in_flight < self.places:
            return False
        if not self._wait_seconds:
            return True
        if len(self.queue) <= self._pace:
            return False
        return asyncio.get_running_loop().time() - self._since > self._wait_seconds

    async def wait(self, request: web.Request) -> None:
        """Take a place, in turn. Raises Overloaded, if the time is over or the client is gone.

        Meanwhile the request takes bytes of the budget, and no more of its body is read.
        """
        if self.refuses():
            raise no_place()
        protocol, body = request.protocol, request.content
        head = sum(len(name) + len(value) for name, value in request.raw_headers)
        size = RECEIVING_BYTES + 2 * head + body.total_bytes
        if self._budget.held + size > self._budget.limit:
            raise no_place()
        self._budget.hold(size)
        is_arriving = not body.is_eof() and protocol.transport is not None
        if is_arriving:
            protocol.pause_reading()
        try:
            await self.wait_unread(request)
        finally:
            self._budget.release(size)
            if is_arriving and protocol.transport is not None:
                protocol.resume_reading()

    async def wait_unread(self, request: web.Request) -> None:
        """Take a place, in turn, for a request that holds its bytes of the budget already."""
        lifecycle = self.lifecycle
        if lifecycle.in_flight < self.places:
            lifecycle.in_flight += 1
            return
        if self.refuses():
            raise no_place()
        waiting = self._append()
        lifecycle.waiting += 1
        try:
            has_place = await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled() and waiting.turn.result():
                self.leave()
            raise
        finally:
            lifecycle.waiting -= 1
        transport = request.transport
        if has_place and (transport is None or transport.is_closing()):
            self.leave()
            has_place = False
        if not has_place:
            raise no_place()

    def leave(self) -> None:
        """Give a place back."""
        self.lifecycle.in_flight -= 1
        if self.queue:
            self.let_in()

    def let_in(self) -> None:
        """Give the places that are free to those who wait."""
        lifecycle, queue = self.lifecycle, self.queue
        waited = len(queue)
        now = self._left = asyncio.get_running_loop().time()
        take = queue.pop if now - self._since > self._wait_seconds * LASTING else queue.popleft
        while queue and lifecycle.in_flight < self.places:
            turn = take().turn
            if not turn.done():
                lifecycle.in_flight += 1
                turn.set_result(True)
        self._let_in += waited - len(queue)
        seconds = now - self._counted_since
        if seconds >= self._short_seconds:
            self._pace = self._let_in * self._short_seconds / seconds
            self._let_in = 0
            self._counted_since = now

    def _append(self) -> Waiting:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self.queue and now - self._left > self._short_seconds:
            self._since = self._counted_since = now
            self._let_in = 0
        waiting = Waiting(now, loop.create_future())
        self.queue.append(waiting)
        if self._timer is None:
            self._timer = loop.call_later(self._wait_seconds, self._refuse_late)
        return waiting

    def _refuse_late(self) -> None:
        """Refuse those who have waited for too long."""
        loop = asyncio.get_running_loop()
        now, queue = loop.time(), self.queue
        self._timer = None
        while queue:
            first = queue[0]
            due = first.since + self._wait_seconds
            if due > now and not first.turn.done():
                self._timer = loop.call_at(due, self._refuse_late)
                return
            queue.popleft()
            if not first.turn.done():
                first.turn.set_result(False)
        self._left = now


ADMISSION: Final = web.AppKey("admission", Admission)
