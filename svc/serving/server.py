"""Serve both ports: start, wait for a signal, drain, close."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ..api.context import LIFECYCLE, SIGNALS, STORE
from ..api.watchers import WATCHERS
from ..app import open_apps
from ..settings import Settings
from ..telemetry.logs import QueuedHandler
from ..telemetry.settings import TracingSettings
from .listener import ListenerRunner, admin_runner
from .stop_order import SAME_ORDER_SECONDS, StopOrder
from .tls import ServerTls, wants_tls
from .worker_channel import WorkerChannel

BACKLOG: Final = 1024
#: mallopt's parameters, from glibc's malloc.h.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 33_554_432
MAPPED_BYTES: Final = 8_388_608

DRAINING: Final = f"draining; a signal after {SAME_ORDER_SECONDS:g} s ends the process at once"

#: Called once both ports accept connections, with the traffic port and the admin port.
Announce = Callable[[int, int], None]

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__name__.partition('.')[0]}.server")


class ListenFailed(RuntimeError):
    """An address can't be bound. The message names the setting."""


async def serve(
    settings: Settings,
    announce: Announce,
    tracing: TracingSettings | None = None,
    logs: QueuedHandler | None = None,
    channel: WorkerChannel | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A later signal ends the process at once.

    With a channel, the process is a worker: it shares the traffic port with others, and drains at
    its supervisor's command too. Raises ListenFailed, StoreUrlInvalid, PasswordUnreadable,
    TokensInvalid, TlsUnusable, EmbeddedUnavailable.
    """
    stop = StopOrder()
    stop.accept_signals()
    if channel is not None:
        channel.on_drain(stop)
    async with open_apps(settings, tracing) as (traffic, admin):
        lifecycle, signals = traffic[LIFECYCLE], traffic[SIGNALS]
        if logs is not None:
            logs.on_drop = signals.metrics.count_log_drop
        runner_of_admin = admin_runner(admin, settings)
        runner = ListenerRunner(
            traffic,
            settings,
            shutdown_seconds=settings.shutdown_seconds,
            max_connections=settings.max_connections,
        )
        tls = ServerTls(settings, signals.metrics) if wants_tls(settings) else None
        watch = asyncio.create_task(tls.watch()) if tls else None
        try:
            admin_host = settings.admin_host or settings.host
            admin_port = await _listen(
                runner_of_admin,
                admin_host,
                settings.admin_port,
                "KV_ADMIN_PORT",
                context=tls.admin if tls else None,
            )
            # Until then the admin port tells how far the store is.
            if not await happens_first(traffic[STORE].serving(), stop.wait()):
                return
            port = await _listen(
                runner,
                settings.host,
                settings.port,
                "KV_PORT",
                shared=channel is not None,
                context=tls.traffic if tls else None,
            )
            _tune_memory()
            signals.start()
            lifecycle.ready = True
            announce(port, admin_port)

            await stop.wait()
            # Fail the readiness probe first, and keep serving until Kubernetes and Envoy have
            # removed this pod from their endpoints. Closing the listeners comes last.
            lifecycle.draining = True
            # After Ctrl-C, if no probe ever came and nothing is under way, nobody needs the time.
            skips = stop.is_interrupt and not lifecycle.probed and not lifecycle.active
            seconds = 0.0 if skips else settings.drain_seconds
            log.info(DRAINING, extra={"seconds": seconds})
            traffic[WATCHERS].drain(seconds)
            await asyncio.sleep(seconds)
        finally:
            await runner.cleanup()
            # After the last request, so that its span is exported; metrics can still be scraped.
            await signals.close()
            await runner_of_admin.cleanup()
            if watch is not None:
                watch.cancel()


def _tune_memory() -> None:
    """Exempt what was loaded at start from collection, collect less often, and return bodies.

    Requests leave hardly any reference cycles. With the default thresholds, collection takes a
    fifth of the time of a large batch. The thresholds count objects; the byte budget
    (``ByteBudget.hold``) also collects by the bytes that were held.

    By default, glibc keeps the memory of freed bodies, and fragments it. From MAPPED_BYTES on, a
    block is mapped on its own, and goes back to the system once it is freed. That is more than the
    usual value: the system gives the pages of a new mapping one by one, which took more than a
    third of a PUT of 1 MiB. What smaller blocks leave, ``ByteBudget.return_memory`` gives back,
    twice a second. Up to KEPT_BYTES at the end of the heap stay until then: by default glibc gives
    them back, and takes them again, with each large value.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def explain_bind_error(setting: str, host: str, port: int, error: OSError | UnicodeError) -> str:
    """Return why an address can't be bound, and what to do."""
    is_name = isinstance(error, UnicodeError | socket.gaierror)
    if isinstance(error, UnicodeError):
        reason = "it is no host name"
    elif is_name:  # its numbers are not the system's
        reason = str(error.strerror)
    else:
        # asyncio puts a sentence of its own around the system's.
        reason = os.strerror(error.errno) if error.errno else str(error)
    other = setting
    if is_name or (isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL):
        other = "KV_HOST" if setting == "KV_PORT" else "KV_HOST or KV_ADMIN_HOST"
    return f"{setting}: {host}:{port} can't be bound: {reason}; choose another {other}"


async def happens_first(first: Awaitable[object], second: Awaitable[object]) -> bool:
    """Wait for the first of two events, and return True if it was ``first``. Raises its error."""
    tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if tasks[0] not in done:
        return False
    tasks[0].result()
    return True


async def _listen(
    runner: web.AppRunner,
    host: str,
    port: int,
    setting: str,
    *,
    shared: bool = False,
    context: ssl.SSLContext | None = None,
) -> int:
    await runner.setup()
    try:
        await web.TCPSite(
            runner,
            host,
            port,
            backlog=BACKLOG,
            reuse_port=shared or None,
            ssl_context=context,
        ).start()
    except (OSError, UnicodeError) as error:
        raise ListenFailed(explain_bind_error(setting, host, port, error)) from None
    bound: int = runner.addresses[0][1]
    return bound
