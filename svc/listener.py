"""aiohttp's listener, with what a public port needs besides: a deadline for a request's head.

aiohttp has timers for idle and lingering connections, none for a client that sends its head byte by
byte. This file alone knows aiohttp's protocol from inside.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from .api.context import IDENTITY, Identity
from .api.problems import http_problem, render_problem

#: How often slow clients are looked for, in seconds.
SWEEP_SECONDS: Final = 0.5
#: How long to read on after an answer that did not wait for the body, so that it arrives.
LINGER_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class Connection(RequestHandler):
    """A client's connection that remembers since when it owes us the rest of a head."""

    def __init__(self, server: TrafficServer, **options: Any) -> None:
        super().__init__(server, **options)
        self.identity = server.identity
        self.head_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.head_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A request was parsed or is being served: what comes is a body, or the next head in line.
        if self._messages or self._current_request is not None:
            self.head_since = None
        elif self.head_since is None:
            self.head_since = self._loop.time()

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer what never became a request for the application, with a problem all the same."""
        if status == 400 and isinstance(exc, LineTooLong):
            status = 431 if "header" in str(exc).lower() else 414
        if status >= 500:
            log.error("request failed outside the application", exc_info=exc)
        detail = {
            400: "the request is not well-formed HTTP/1.1",
            414: "the request line is too long",
            431: "a header is too long",
        }.get(status, "the service failed; the log says more")
        response = render_problem(http_problem(status, detail))
        response.headers.update(
            {
                "KV-Version": self.identity.version,
                "KV-Track": self.identity.track,
                "KV-Pod": self.identity.pod,
                "Server": "tallykv",
            }
        )
        response.force_close()
        return response


class TrafficServer(web.Server):
    """Makes a Connection for each client and closes those that are too slow with their heads."""

    def __init__(self, server: web.Server, identity: Identity, **options: Any) -> None:
        super().__init__(server.request_handler, request_factory=server.request_factory, **options)
        self.identity = identity
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
                since = connection.head_since if isinstance(connection, Connection) else None
                if since is not None and since < overdue:
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
            self.app[IDENTITY],
            access_log=None,
            keepalive_timeout=self._keepalive_seconds,
            lingering_time=LINGER_SECONDS,
        )
        self._sweeper = asyncio.create_task(server.sweep(self._header_timeout_seconds))
        return server

    async def cleanup(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        await super().cleanup()
