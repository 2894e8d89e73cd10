"""One client connection: aiohttp's protocol, with a deadline for heads and a fast way to respond.

aiohttp limits how long a connection may be idle, but not how long a client may take to send a
request's head. Its general code for responses handles streaming, compression and cookies; this
service sends only complete bodies, and sending those directly takes half the time.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sys
import termios
import time
from collections.abc import Coroutine
from types import NoneType
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from ..api.budget import ByteBudget
from ..api.context import Identity, Lifecycle
from ..api.middlewares import TRACEPARENT, name_responder, read_request_id
from ..api.problems import http_problem, render_problem
from ..telemetry.sampling import NoSampler
from ..telemetry.signals import Signals
from ..telemetry.trace import TRACE, RequestTrace
from .aiohttp_internals import serialize_headers

#: From this size on, the body is written beside its head. A smaller one is copied behind it.
LARGE_BODY_BYTES: Final = 16_384
#: A client must receive this much of an answer, or the rest of it, within KV_SEND_TIMEOUT_SECONDS.
PROGRESS_BYTES: Final = 65_536

DETAILS: Final = {
    400: "the request is not well-formed HTTP/1.1",
    414: "the request line is too long",
    417: "Expect: only 100-continue is understood",
    431: "a header is too long, or there are too many",
    500: "the service failed; the log says more",
    504: "the service failed; the log says more",
}

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__name__.partition('.')[0]}.listener")


class Connection(RequestHandler):
    """A client's connection."""

    def __init__(
        self,
        server: web.Server,
        *,
        identity: Identity,
        signals: Signals,
        lifecycle: Lifecycle,
        budget: ByteBudget,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self.lifecycle = lifecycle
        self.budget = budget
        self.identity = identity
        self.signals = signals
        #: Loop time since which the client is sending a request's head; None between requests.
        self.head_since: float | None = None
        # aiohttp forgets its own reference before everything is sent.
        self._client: asyncio.Transport | None = None
        #: The bytes that the client had not received, and the loop time since when.
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._client = cast("asyncio.Transport", transport)
        self.head_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A request is parsed or being served, so what arrives is its body or the next head.
        if self._messages or self._current_request is not None:
            self.head_since = None
            # The parsed request has no body. If the data goes on after it, a new head has begun.
            if (
                self._messages
                and self._messages[-1][1] is EMPTY_PAYLOAD
                and not data.endswith(b"\r\n\r\n")
            ):
                self.head_since = self._loop.time()
        elif self.head_since is None and self._waiter is not None:
            self.head_since = self._loop.time()

    def head_began_before(self, when: float) -> bool:
        """Return True if a head began before ``when``, is incomplete, and no request is served."""
        since = self.head_since
        return since is not None and since < when and self._current_request is None

    def send_stalled(self, now: float, timeout_seconds: float) -> bool:
        """Return True if the client received fewer than PROGRESS_BYTES for as long as the timeout.

        Call it regularly: it compares with what it saw before. ``now`` is loop time.
        """
        client = self._client
        if client is None or not (buffered := client.get_write_buffer_size()):
            self._unsent = 0
            return False
        unsent = buffered + _unacknowledged(client)
        # More than before: the next answer has begun, so the one before was nearly sent.
        if not self._unsent or unsent > self._unsent or unsent <= self._unsent - PROGRESS_BYTES:
            self._unsent = unsent
            self._unsent_since = now
            return False
        return now - self._unsent_since > timeout_seconds

    def abort(self) -> None:
        """Close at once, without sending what is still buffered."""
        if self._client is not None:
            self._client.abort()

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

    def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        # The application's own errors are rendered as problems already. aiohttp raises this one
        # before it calls the application.
        if isinstance(resp, web.HTTPExpectationFailed):
            trace = NoSampler().decide(request.headers.get(TRACEPARENT))
            request_id = read_request_id(request.headers, trace)
            resp = self._problem(417, trace, request_id)
            if isinstance(request, web.Request):
                self.signals.requests.observe(request, 417, trace, time.perf_counter(), request_id)
        if type(resp) is web.Response and type(resp.body) in {bytes, NoneType}:
            return self._send(request, resp)
        return super().finish_response(request, resp, start_time)

    async def _send(
        self, request: BaseRequest, resp: web.Response
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response with a complete, uncompressed body and no cookies."""
        if self._upgraded:  # the client asked for another protocol: aiohttp handles that
            return await super().finish_response(request, resp, None)
        status, headers = resp.status, resp.headers
        body: bytes = resp.body or b""  # type: ignore[assignment]
        shows_body = status not in {204, 304} and request.method != hdrs.METH_HEAD
        if status != 204 and (body or shows_body):
            headers[hdrs.CONTENT_LENGTH] = str(len(body))
            if body:
                headers.setdefault(hdrs.CONTENT_TYPE, "application/octet-stream")
        headers[hdrs.DATE] = rfc822_formatted_time()
        keep_alive = resp.keep_alive
        if keep_alive is None:
            keep_alive = request.keep_alive
            resp._keep_alive = keep_alive  # noqa: SLF001
        version = request.version
        if keep_alive != (version == HttpVersion11):
            headers[hdrs.CONNECTION] = "keep-alive" if keep_alive else "close"
        line = f"HTTP/{version.major}.{version.minor} {status} {resp.reason}"
        head = serialize_headers(line, headers)
        transport = self.transport
        if transport is None or transport.is_closing():
            return resp, True
        if not shows_body or not body:
            transport.write(head)
        elif len(body) < LARGE_BODY_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        if self._paused:
            return resp, not await self._sent(transport.get_write_buffer_size())
        return resp, False

    async def _sent(self, unsent: int) -> bool:
        """Wait until the client has received most of the answer; False if the connection broke.

        Meanwhile the request counts as under way, and the answer takes of the byte budget.
        """
        self.lifecycle.sending += 1
        self.budget.hold(unsent)
        try:
            await self._drain_helper()
        except ConnectionError:
            return False
        finally:
            self.lifecycle.sending -= 1
            self.budget.release(unsent)
        return True

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return a problem when a request could not be parsed or failed inside aiohttp."""
        if status == 400:
            status = _status_of(exc)
        if status >= 500:
            log.error("request failed outside the application", exc_info=exc)
        if status < 500:
            self.signals.metrics.rejected["malformed",] += 1
        trace = NoSampler().decide(None)
        response = self._problem(status, trace, trace.trace_id)
        response.force_close()
        # aiohttp sends this response as HTTP/1.0, and would leave the header out.
        response.headers["Connection"] = "close"
        return response

    def _problem(self, status: int, trace: RequestTrace, request_id: str) -> web.Response:
        TRACE.set(trace)
        response = render_problem(http_problem(status, DETAILS.get(status, DETAILS[500])))
        name_responder(response, self.identity, request_id)
        return response


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Return the bytes that the kernel holds for the client; 0 where it can't be asked."""
    size = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, size)
    except OSError:
        return 0
    return int.from_bytes(size, sys.byteorder)


def _status_of(exc: BaseException | None) -> int:
    if isinstance(exc, LineTooLong):
        # aiohttp's parser keeps the request line as a bytearray, and header lines as bytes.
        return 414 if isinstance(exc.args[0], bytearray) else 431
    return 431 if "Too many headers" in str(exc) else 400
