"""The admin port: probes, status, version and metrics. Its requests are not traced or counted."""

from __future__ import annotations

import platform
import time
from typing import Final

import msgspec
from aiohttp import web

from ..domain.errors import DomainError
from ..telemetry.exposition import render
from .bodies import render_json
from .context import IDENTITY, LIFECYCLE, SIGNALS, STORE

MODE: Final = web.AppKey("mode", str)


class StoreStatus(msgspec.Struct, frozen=True):
    mode: str
    answers: bool
    redis_version: str | None
    ping_ms: float | None
    error: str | None


class Status(msgspec.Struct, frozen=True):
    """The response of ``/statusz``."""

    status: str
    version: str
    track: str
    pod: str
    python: str
    uptime_seconds: float
    in_flight: int
    draining: bool
    store: StoreStatus


class Version(msgspec.Struct, frozen=True):
    version: str
    track: str
    pod: str
    python: str


class Uptime:
    def __init__(self) -> None:
        self.since = time.monotonic()


UPTIME: Final = web.AppKey("uptime", Uptime)


async def livez(_: web.Request) -> web.Response:
    """Liveness: the event loop runs. It does not depend on Redis."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Readiness: the lifecycle only. An outage of Redis must not make all pods unready at once."""
    lifecycle = request.app[LIFECYCLE]
    lifecycle.probed = True
    if lifecycle.draining:
        return web.Response(text="draining\n", status=503)
    if not lifecycle.ready:
        return web.Response(text="starting\n", status=503)
    return web.Response(text="ok\n")


async def statusz(request: web.Request) -> web.Response:
    """Status for people, with a ping of the store. It is 200 even if the store does not answer."""
    app = request.app
    who, lifecycle = app[IDENTITY], app[LIFECYCLE]
    started = time.perf_counter()
    version = error = None
    try:
        version = await app[STORE].ping()
    except DomainError as failure:
        error = failure.slug
    took = round((time.perf_counter() - started) * 1000, 3)
    store = StoreStatus(app[MODE], error is None, version, took if error is None else None, error)
    status = "draining" if lifecycle.draining else "ok" if error is None else "degraded"
    return render_json(
        Status(
            status=status,
            version=who.version,
            track=who.track,
            pod=who.pod,
            python=platform.python_version(),
            uptime_seconds=round(time.monotonic() - app[UPTIME].since, 3),
            in_flight=lifecycle.active,
            draining=lifecycle.draining,
            store=store,
        )
    )


async def version(request: web.Request) -> web.Response:
    who = request.app[IDENTITY]
    return render_json(Version(who.version, who.track, who.pod, platform.python_version()))


async def metrics(request: web.Request) -> web.Response:
    """Metrics in the format that the scraper asks for: text, OpenMetrics or protobuf."""
    body, headers = await render(
        request.app[SIGNALS].metrics.registry,
        request.headers.get("Accept", ""),
        request.headers.get("Accept-Encoding", ""),
    )
    return web.Response(body=body, headers=headers)
