"""The traffic port's listener: one Connection for each client, and the sweep of slow clients."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ..api.budget import BUDGET
from ..api.context import IDENTITY, LIFECYCLE, SIGNALS
from .connection import Connection
from .dispatch import dispatcher

#: How often to look for slow clients, in seconds.
SWEEP_SECONDS: Final = 0.5
#: How long to keep reading after a response that was sent before the whole body had arrived.
LINGER_SECONDS: Final = 2.0
#: How long cancelled and abandoned requests may take to end.
CANCEL_SECONDS: Final = 1.0


class TrafficServer(web.Server):
    """Makes a Connection for each client, and closes those of clients that are too slow."""

    def __init__(self, server: web.Server, app: web.Application, **options: Any) -> None:
        super().__init__(
            dispatcher(app, server.request_handler),
            request_factory=server.request_factory,
            **options,
        )
        self._signals = app[SIGNALS]
        self._options = {
            **options,
            "identity": app[IDENTITY],
            "signals": self._signals,
            "lifecycle": app[LIFECYCLE],
            "budget": app[BUDGET],
        }

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._options)

    async def sweep(self, header_timeout_seconds: float, send_timeout_seconds: float) -> None:
        """Close connections whose head takes longer than the timeout. Run until cancelled.

        Abort those whose client received next to nothing of an answer for as long as the other.
        """
        loop = asyncio.get_running_loop()
        metrics = self._signals.metrics
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in self.connections:
                if not isinstance(connection, Connection):
                    continue
                if connection.head_began_before(now - header_timeout_seconds):
                    metrics.rejected["header_timeout",] += 1
                    connection.force_close()
                elif connection.send_stalled(now, send_timeout_seconds):
                    metrics.sends_aborted[()] += 1
                    connection.abort()


class TrafficRunner(web.AppRunner):
    """An AppRunner whose server is a TrafficServer."""

    def __init__(
        self,
        app: web.Application,
        *,
        header_timeout_seconds: float,
        send_timeout_seconds: float,
        keepalive_seconds: float,
        shutdown_seconds: float,
    ) -> None:
        super().__init__(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._timeouts = header_timeout_seconds, send_timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._sweeper: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        server = TrafficServer(
            await super()._make_server(),
            self.app,
            access_log=None,
            keepalive_timeout=self._keepalive_seconds,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # api/decompression.py bounds the size of the result
        )
        self._sweeper = asyncio.create_task(server.sweep(*self._timeouts))
        return server

    async def cleanup(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        await super().cleanup()
        # aiohttp does not wait for the end of the requests that it cancels, nor for those whose
        # client has left. They are counted at their end, and the store must not close before.
        lifecycle = self.app[LIFECYCLE]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                while lifecycle.active:  # noqa: ASYNC110 - an event would cost each request
                    await asyncio.sleep(0.01)
