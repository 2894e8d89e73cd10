"""One client connection: its deadlines, and an end that loses no answer.

aiohttp limits how long a connection may be idle, but not how long a client may take to send a
request's head, or to receive its answer.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sys
import termios
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_request import BaseRequest

from ..api.long_poll import POLL
from ..api.problems import http_problem, render_problem
from ..telemetry.sampling import NoSampler
from ..telemetry.signals import Signals
from ..telemetry.trace import TRACE
from .heads import DETAILS, FAILED, HeadRefused, status_of
from .refusals import RefusingLoop

#: A client must receive this much of an answer, or the rest of it, within KV_SEND_TIMEOUT_SECONDS.
PROGRESS_BYTES: Final = 65_536

#: How long to read, and drop, what a client sends after the last answer. Closed sooner, the system
#: would answer those bytes by a reset, at which clients drop the answer. A connection is also kept
#: this long beyond KV_KEEPALIVE_SECONDS: a client that knows the timeout may use it until then.
LINGER_SECONDS: Final = 2.0

#: The label ``reason`` of heads that were refused, if it is not "malformed".
REJECTED: Final = {408: "header_timeout", 421: "foreign_host"}

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__name__.partition('.')[0]}.listener")


class Connection(RefusingLoop):
    """A client's connection."""

    def __init__(
        self,
        server: web.Server,
        *,
        signals: Signals,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self.signals = signals
        #: The bytes that the client had not received, and the loop time since when.
        self._unsent = 0
        self._unsent_since = 0.0
        self._lingering: asyncio.TimerHandle | None = None

    def is_busy(self) -> bool:
        """Return True while a request is being served, or its answer sent."""
        return self._request_in_progress or bool(self._messages)

    def is_receiving(self) -> bool:
        """Return True while the body of a request is arriving."""
        return self._body is not None and not self._body.is_eof()

    def head_began_before(self, when: float) -> bool:
        """Return True if a head began before ``when``, is incomplete, and no request is served."""
        since = self.head_since
        return since is not None and since < when and self._current_request is None

    def end_slow_head(self) -> None:
        """Answer 408, and close. Without a byte of a head, close only.

        A client that has sent nothing would take the answer for that to its next request.
        """
        if self._in_head():
            self._end(HeadRefused(code=408, message=DETAILS[408]))
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        else:
            self.signals.metrics.rejected["header_timeout",] += 1
            self.half_close()

    def send_stalled(self, now: float, timeout_seconds: float) -> bool:
        """Return True if the client received fewer than PROGRESS_BYTES for as long as the timeout.

        Call it regularly: it compares with what it saw before. ``now`` is loop time.
        """
        client = self._client
        if client is None or not (buffered := client.get_write_buffer_size()):
            self._unsent = 0
            return False
        unsent = buffered + _kernel_bytes(client, termios.TIOCOUTQ)
        # More than before: the next answer has begun, so the one before was nearly sent.
        if not self._unsent or unsent > self._unsent or unsent <= self._unsent - PROGRESS_BYTES:
            self._unsent = unsent
            self._unsent_since = now
            return False
        return now - self._unsent_since > timeout_seconds

    def half_close(self) -> None:
        """Send nothing more. Drop what still arrives until the client closes, or LINGER_SECONDS."""
        client = self._client
        if client is None or client.is_closing():
            return
        # aiohttp drops what arrives then, and leaves the transport to us.
        self._force_close = True
        self.head_since = None
        if self._waiter is not None:
            self._waiter.cancel()
        if self.saw_eof:
            client.close()
            return
        if not client.can_write_eof():
            client.close()  # TLS sends what is buffered, and its own end, before it closes
            return
        try:
            client.write_eof()
        except OSError:  # the client is gone
            client.close()
            return
        client.resume_reading()
        self._lingering = self._loop.call_later(LINGER_SECONDS, client.close)

    def has_unread(self) -> bool:
        """Return True if bytes have arrived that the event loop has not read yet."""
        return self._client is not None and _kernel_bytes(self._client, termios.FIONREAD) > 0

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end_poll()
        super().connection_lost(exc)
        if self._lingering is not None:
            self._lingering.cancel()
        if self.streaming is not None:
            self.streaming.leave()

    def eof_received(self) -> bool:  # type: ignore[override]
        keeps_open = super().eof_received()
        if self.streaming is not None:
            self.streaming.doubt()
        self._end_poll()
        return keeps_open

    def _end_poll(self) -> None:
        """End the long poll that is being served, if one is."""
        request = self._current_request
        if request is not None and POLL in request:
            request[POLL].end("client_left")

    def _process_keepalive(self) -> None:
        now, waiter = self._loop.time(), self._waiter
        if waiter is None or waiter.done() or now < self._next_keepalive_close_time:
            super()._process_keepalive()
        elif self.has_unread():
            self._next_keepalive_close_time = now + LINGER_SECONDS
            super()._process_keepalive()
        else:
            self.half_close()

    # On close() and shutdown(), aiohttp drops the data that still arrives, even the rest of an
    # upload. During a drain every response closes its connection anyway, so these two let the
    # request in progress finish first.

    def close(self) -> None:
        if self._current_request is None:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109
        if self._request_in_progress:
            self._handler_waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._handler_waiter
            except TimeoutError:
                self._handler_waiter = None
                timeout = 0.1
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return a problem when a request could not be parsed or failed inside aiohttp."""
        detail = FAILED
        if isinstance(exc, HttpProcessingError):
            status = status_of(exc)
            detail = exc.message if isinstance(exc, HeadRefused) else DETAILS[status]
            reason = REJECTED.get(status, "malformed")
            self.signals.metrics.rejected[reason,] += 1
            self.is_refusing = True
        else:
            log.error("request failed outside the application", exc_info=exc)
        trace = NoSampler().decide(None)
        TRACE.set(trace)
        problem = http_problem(status, detail)
        if self.is_refusing:
            self.signals.requests.refuse(status, problem.code)
        response = render_problem(problem)
        response.headers["X-Request-Id"] = trace.trace_id
        response.force_close()
        return response


def _kernel_bytes(transport: asyncio.Transport, request: int) -> int:
    """Return what an ioctl of tty_ioctl(4) counts: TIOCOUTQ: unsent, FIONREAD: unread bytes.

    Return 0 where it can't be asked.
    """
    size = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), request, size)
    except OSError:
        return 0
    return int.from_bytes(size, sys.byteorder)
