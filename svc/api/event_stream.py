"""The answer to a watch: server-sent events, until the watch ends.

https://html.spec.whatwg.org/multipage/server-sent-events.html

The handler returns it at once; the connection then sends it. So a watch is, to the middlewares, a
request that was answered: it takes no place among those in flight, and its time to the first byte
is what is measured and traced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from ..telemetry.metrics import Metrics
from .budget import SMALL_BYTES
from .event_queue import EventQueue

#: A line is sent at least every 15 s: proxies close connections on which none is. A timer of its
#: own for each line would cost more: so every 5 s each stream looks whether it is the third time
#: that it finds nothing sent since the last look.
LOOK_SECONDS: Final = 5.0
QUIET_LOOKS: Final = 2
#: The same if the client sends nothing more, so that it may be gone: a line at each look.
DOUBT_SECONDS: Final = 1.0
_RETRY: Final = b"retry: 1000\n\n"
_HEARTBEAT: Final = b": heartbeat\n\n"


class EventStream(web.StreamResponse):
    """Sends what is in the queue. ``close`` is called once, whatever happens."""

    def __init__(self, queue: EventQueue, metrics: Metrics, close: Callable[[], None]) -> None:
        super().__init__(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        self.force_close()
        self._queue = queue
        self._metrics = metrics
        self._close: Callable[[], None] | None = close
        self._blocked: asyncio.Timeout | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0
        self._is_doubtful = False
        queue.on_end = self._unblock

    def doubt(self) -> None:
        """Learn that the client sends nothing more. Whether it still reads, only sending tells."""
        self._is_doubtful = True
        self._look()

    def leave(self) -> None:
        """Learn that the client has closed the connection."""
        self._queue.end("client_left")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        close, self._close = self._close, None
        if close is not None:
            close()

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        self._transport = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        queue = self._queue
        self._look()
        await self._send(_RETRY)
        while not queue.ended:
            if chunk := queue.next_chunk():
                await self._send(chunk)
            elif self._looks > QUIET_LOOKS:
                self._metrics.watch_events["heartbeat",] += 1
                await self._send(_HEARTBEAT)
            else:
                await queue.wait()
        if queue.ended != "client_left":
            await self._send(queue.goodbye())
            await self._finish(data)

    def _look(self) -> None:
        """Look whether it is time for a heartbeat, and when to look again."""
        if self._timer is not None:
            self._timer.cancel()
        self._looks += QUIET_LOOKS + 1 if self._is_doubtful else 1
        if self._looks > QUIET_LOOKS:
            self._queue.wake()
        seconds = DOUBT_SECONDS if self._is_doubtful else LOOK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    async def _send(self, chunk: bytes) -> None:
        """Send it, and wait while the client does not read; not beyond the end of the watch."""
        self._looks = 0
        transport = self._transport
        if len(chunk) <= SMALL_BYTES and transport and not transport.get_write_buffer_size():
            await self.write(chunk)  # it has room, so this waits for nothing
            return
        try:
            async with asyncio.timeout(None) as self._blocked:
                if self._queue.ended:
                    self._unblock()
                await self.write(chunk)
        except TimeoutError:
            return
        finally:
            self._blocked = None

    async def _finish(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(0):
                await super().write_eof(data)
        except TimeoutError:
            return

    def _unblock(self) -> None:
        if self._blocked is not None:
            self._blocked.reschedule(asyncio.get_running_loop().time())
