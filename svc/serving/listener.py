"""The listener of a port: one Connection for each client, and the sweep of slow clients."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import chain
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ..api.admission import ADMISSION
from ..api.budget import BUDGET
from ..api.context import IDENTITY, LIFECYCLE, SIGNALS
from ..settings import Settings
from .connection import LINGER_SECONDS, Connection
from .dispatch import dispatcher
from .head_starts import HeadStarts
from .hosts import accepted_hosts
from .refusals import Refusals

#: How often to look for slow clients, in seconds.
SWEEP_SECONDS: Final = 0.5
#: Most connections of the admin port: for probes, some scrapers and people.
ADMIN_CONNECTIONS: Final = 128
#: How long cancelled and abandoned requests may take to end.
CANCEL_SECONDS: Final = 1.0


class Listener(web.Server):
    """Makes a Connection for each client, and closes those of clients that are too slow.

    Beyond ``max_connections`` the oldest connection that serves no request makes room, else the
    oldest whose body is arriving.
    """

    def __init__(
        self,
        server: web.Server,
        app: web.Application,
        *,
        max_connections: int,
        hosts: frozenset[str] | None,
        telemetry: bool,
        **options: Any,
    ) -> None:
        super().__init__(
            dispatcher(app, server.request_handler),
            request_factory=server.request_factory,
            **options,
        )
        self._signals = app[SIGNALS]
        self._budget = app[BUDGET]
        self._max_connections = max_connections
        starts = HeadStarts(app[IDENTITY])
        refusals = None
        if ADMISSION in app:
            refusals = Refusals(app, self._signals.requests if telemetry else None, starts)
        self._options = {
            **options,
            "starts": starts,
            "signals": self._signals,
            "lifecycle": app[LIFECYCLE],
            "budget": self._budget,
            "refusals": refusals,
            "hosts": hosts,
        }

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._options)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._max_connections:
            self._make_room(cast("Connection", handler))

    def _make_room(self, newest: Connection) -> None:
        others = [
            each for each in self.connections if isinstance(each, Connection) and each is not newest
        ]
        idle = (each for each in others if not each.is_busy())
        slow = (each for each in others if each.is_receiving())
        chosen = next(chain(idle, slow), newest)
        # Not at once: the task of a new connection has not begun.
        self._loop.call_later(0, chosen.abort)

    async def sweep(self, header_timeout_seconds: float, send_timeout_seconds: float) -> None:
        """End connections whose head takes longer than the timeout. Run until cancelled.

        Abort those whose client received next to nothing of an answer for as long as the other.
        """
        loop = asyncio.get_running_loop()
        metrics = self._signals.metrics
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._budget.return_memory()
            now = loop.time()
            for connection in self.connections:
                if not isinstance(connection, Connection):
                    continue
                if connection.head_began_before(now - header_timeout_seconds):
                    # The rest may have arrived while the event loop was busy.
                    if not connection.has_unread():
                        connection.end_slow_head()
                elif connection.send_stalled(now, send_timeout_seconds):
                    metrics.sends_aborted[()] += 1
                    connection.abort()


class ListenerRunner(web.AppRunner):
    """An AppRunner whose server is a Listener. ``host`` is the address that it will be bound to."""

    def __init__(
        self,
        app: web.Application,
        settings: Settings,
        *,
        shutdown_seconds: float,
        max_connections: int,
        host: str = "",
    ) -> None:
        super().__init__(app, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._settings = settings
        self._max_connections = max_connections
        self._hosts = accepted_hosts(host or settings.host, settings.hosts)
        self._sweeper: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        settings = self._settings
        server = Listener(
            await super()._make_server(),
            self.app,
            max_connections=self._max_connections,
            hosts=self._hosts,
            telemetry=settings.telemetry,
            access_log=None,
            keepalive_timeout=settings.keepalive_seconds + LINGER_SECONDS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # api/decompression.py bounds the size of the result
        )
        self._sweeper = asyncio.create_task(
            server.sweep(settings.header_timeout_seconds, settings.send_timeout_seconds)
        )
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
                while lifecycle.active or lifecycle.watching:  # noqa: ASYNC110 - an event would cost each request
                    await asyncio.sleep(0.01)


def admin_runner(app: web.Application, settings: Settings) -> ListenerRunner:
    """Return the runner of the admin port."""
    return ListenerRunner(
        app,
        settings,
        shutdown_seconds=1.0,
        max_connections=ADMIN_CONNECTIONS,
        host=settings.admin_host,
    )
