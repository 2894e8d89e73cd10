"""Two listeners, from start to drain to close."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from typing import Final

from aiohttp import web

from ..api.context import LIFECYCLE, SIGNALS
from ..app import open_apps
from ..settings import Settings
from ..telemetry.logs import QueuedHandler
from ..tracing_settings import TracingSettings
from .listener import TrafficRunner
from .worker_channel import Tether

BACKLOG: Final = 1024

#: Called once both listeners accept, with the ports they got.
Announce = Callable[[int, int], None]


log = logging.getLogger(__name__)


class ListenFailed(RuntimeError):
    """An address can't be bound; the message names the setting."""


async def serve(
    settings: Settings,
    announce: Announce,
    tracing: TracingSettings | None = None,
    logs: QueuedHandler | None = None,
    tether: Tether | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

    With a tether it is one of several that share the traffic port, and its supervisor's word does
    as well as the first signal. Raises ListenFailed, StoreUrlInvalid, EmbeddedUnavailable.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    if tether is not None:
        tether.watch(stop.set)
    async with open_apps(settings, tracing) as (traffic, admin):
        lifecycle, signals = traffic[LIFECYCLE], traffic[SIGNALS]
        if logs is not None:
            logs.on_drop = signals.metrics.count_log_drop
        admin_runner = web.AppRunner(admin, access_log=None, handle_signals=False)
        runner = TrafficRunner(
            traffic,
            header_timeout_seconds=settings.header_timeout_seconds,
            keepalive_seconds=settings.keepalive_seconds,
            shutdown_seconds=settings.shutdown_seconds,
        )
        try:
            admin_port = await _listen(
                admin_runner, settings.host, settings.admin_port, "KV_ADMIN_PORT"
            )
            port = await _listen(
                runner, settings.host, settings.port, "KV_PORT", shared=tether is not None
            )
            _settle_heap()
            signals.start()
            lifecycle.ready = True
            announce(port, admin_port)

            await stop.wait()
            # aiohttp closes its listeners before it tells the application anything: say "not
            # ready" first, go on serving while the mesh takes notice, and only then close.
            lifecycle.draining = True
            log.info(
                "draining; a second signal ends the process at once",
                extra={"seconds": settings.drain_seconds},
            )
            await asyncio.sleep(settings.drain_seconds)
        finally:
            await runner.cleanup()
            # After the last request's span, and while the metrics can still be scraped.
            await signals.close()
            await admin_runner.cleanup()


def _settle_heap() -> None:
    """Tell the garbage collector what stays, and to look for cycles less often.

    Requests leave hardly any cycles behind; the default thresholds walk the live requests so
    often that it shows (a fifth of a batch's time).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _listen(
    runner: web.AppRunner, host: str, port: int, setting: str, *, shared: bool = False
) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_port=shared or None).start()
    except OSError as error:
        raise ListenFailed(f"{setting}: {host}:{port} can't be bound: {error.strerror}") from None
    bound: int = runner.addresses[0][1]
    return bound


def stop_on_signals(stop: asyncio.Event, last: Callable[[], None] | None = None) -> None:
    """Set ``stop`` at the first SIGTERM or SIGINT; at the second call ``last``, end the process."""
    loop = asyncio.get_running_loop()
    # Not the event: a worker's supervisor sets it too, which makes no signal the second one.
    heard: list[int] = []

    def on_signal(number: int) -> None:
        heard.append(number)
        stop.set()
        if len(heard) > 1:
            if last is not None:
                last()
            os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
