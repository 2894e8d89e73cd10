"""aiohttp's listener, with what a public port needs besides: a deadline for a request's head.

aiohttp has timers for idle and lingering connections, none for a client that sends its head byte by
byte. And it serves answers of every kind, ours are of one: sending those directly halves what an
answer costs. This file and dispatch.py alone know aiohttp from inside.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from types import NoneType
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_writer import _serialize_headers
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from ..api.context import IDENTITY, SIGNALS
from ..api.middlewares import TRACEPARENT, name_responder, read_request_id
from ..api.problems import http_problem, render_problem
from ..telemetry.sampling import NoSampler
from ..telemetry.trace import TRACE, RequestTrace
from .dispatch import dispatcher

#: How often slow clients are looked for, in seconds.
SWEEP_SECONDS: Final = 0.5
#: How long to read on after an answer that did not wait for the body, so that it arrives.
LINGER_SECONDS: Final = 2.0
#: A body from this size on is handed over beside its head instead of copied behind it.
LARGE_BODY_BYTES: Final = 16_384

DETAILS: Final = {
    400: "the request is not well-formed HTTP/1.1",
    414: "the request line is too long",
    417: "Expect: only 100-continue is understood",
    431: "a header is too long, or there are too many",
    500: "the service failed; the log says more",
    504: "the service failed; the log says more",
}

log = logging.getLogger(__name__)


class Connection(RequestHandler):
    """A client's connection that remembers since when it owes us the rest of a head."""

    def __init__(self, server: TrafficServer, **options: Any) -> None:
        super().__init__(server, **options)
        self.identity = server.identity
        self.signals = server.signals
        self.head_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.head_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A request was parsed or is being served: what comes is a body, or the next head in line.
        if self._messages or self._current_request is not None:
            self.head_since = None
            # Behind a request without a body, anything but its last empty line begins a head.
            if (
                self._messages
                and self._messages[-1][1] is EMPTY_PAYLOAD
                and not data.endswith(b"\r\n\r\n")
            ):
                self.head_since = self._loop.time()
        elif self.head_since is None and self._waiter is not None:
            self.head_since = self._loop.time()

    def owes_head_since(self, when: float) -> bool:
        """Tell whether a head has been under way since before ``when``, and nothing else is."""
        since = self.head_since
        return since is not None and since < when and self._current_request is None

    # Told to close or to shut down, aiohttp's connection drops what it receives, also the rest of
    # an upload under way. While draining every answer closes its connection anyway, so a request
    # under way is let to its end first.

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
        # What the application raises is a problem by now; this one comes from before it.
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
        """Send an answer that is whole, uncompressed and without cookies, as all of ours are."""
        if self._upgraded:  # the client offered another protocol; aiohttp knows how to go on
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
        head = _serialize_headers(line, headers)
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
            try:
                await self._drain_helper()
            except ConnectionError:
                return resp, True
        return resp, False

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer what never became a request for the application, with a problem all the same."""
        if status == 400:
            status = _status_of(exc)
        if status >= 500:
            log.error("request failed outside the application", exc_info=exc)
        if status < 500:
            self.signals.metrics.rejected["malformed",] += 1
        trace = NoSampler().decide(None)
        response = self._problem(status, trace, trace.trace_id)
        response.force_close()
        response.headers["Connection"] = "close"  # aiohttp answers these as HTTP/1.0, without
        return response

    def _problem(self, status: int, trace: RequestTrace, request_id: str) -> web.Response:
        TRACE.set(trace)
        response = render_problem(http_problem(status, DETAILS.get(status, DETAILS[500])))
        name_responder(response, self.identity, request_id)
        return response


def _status_of(exc: BaseException | None) -> int:
    if isinstance(exc, LineTooLong):
        # aiohttp's parser says which line only by the type it kept it in.
        return 414 if isinstance(exc.args[0], bytearray) else 431
    return 431 if "Too many headers" in str(exc) else 400


class TrafficServer(web.Server):
    """Makes a Connection for each client and closes those that are too slow with their heads."""

    def __init__(self, server: web.Server, app: web.Application, **options: Any) -> None:
        super().__init__(
            dispatcher(app, server.request_handler),
            request_factory=server.request_factory,
            **options,
        )
        self.identity = app[IDENTITY]
        self.signals = app[SIGNALS]
        self._options = options

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._options)

    async def sweep(self, header_timeout_seconds: float) -> None:
        """Close connections whose head is overdue; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            overdue = loop.time() - header_timeout_seconds
            for connection in self.connections:
                if isinstance(connection, Connection) and connection.owes_head_since(overdue):
                    self.signals.metrics.rejected["header_timeout",] += 1
                    connection.force_close()


class TrafficRunner(web.AppRunner):
    """An AppRunner whose server is a TrafficServer."""

    def __init__(
        self,
        app: web.Application,
        *,
        header_timeout_seconds: float,
        keepalive_seconds: float,
        shutdown_seconds: float,
    ) -> None:
        super().__init__(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._header_timeout_seconds = header_timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._sweeper: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        server = TrafficServer(
            await super()._make_server(),
            self.app,
            access_log=None,
            keepalive_timeout=self._keepalive_seconds,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # api/inflating.py does it, with a bound and to the end
        )
        self._sweeper = asyncio.create_task(server.sweep(self._header_timeout_seconds))
        return server

    async def cleanup(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        await super().cleanup()
