"""The admin port: probes, status, version and metrics. Its requests are not traced or counted."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from ..domain.model import StoreFailure
from ..telemetry.exposition import render
from .context import IDENTITY, LIFECYCLE, SIGNALS, STORE
from .header_lists import accepts_gzip
from .rendering import render_json
from .status import look_at, status_of
from .tokens_status import TOKENS_STATUS, TokensStatus

MODE: Final = web.AppKey("mode", str)


class StoreStatus(msgspec.Struct, frozen=True):
    """``state`` is starting, loading, serving, or failing if the store does not answer.

    ``loaded_ratio`` is there while the store loads its data from disk.
    """

    mode: str
    state: str
    answers: bool
    redis_version: str | None
    ping_ms: float | None
    error: str | None
    loaded_ratio: float | None
    failures: Sequence[StoreFailure]


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
    #: None without a tokens file.
    tokens: TokensStatus | None


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
    """Readiness: the lifecycle, and a store of its own, which only this pod uses.

    An outage of a Redis that all pods share must not make all of them unready at once.
    """
    lifecycle = request.app[LIFECYCLE]
    lifecycle.probed = True
    if lifecycle.draining:
        return web.Response(text="draining\n", status=503)
    state = await request.app[STORE].own_state() or "serving"
    if state != "serving" or not lifecycle.ready:
        state = "starting" if state == "serving" else state
        return web.Response(text=f"{state}\n", status=503)
    return web.Response(text="ok\n")


async def statusz(request: web.Request) -> web.Response:
    """Status for people, with a ping of the store. It is 200 even if the store does not answer."""
    app = request.app
    who, lifecycle = app[IDENTITY], app[LIFECYCLE]
    look = await look_at(app[STORE])
    info = look.info
    store = StoreStatus(
        mode=app[MODE],
        state=look.state,
        answers=info is not None,
        redis_version=None if info is None else info.version,
        ping_ms=None if info is None else look.took_ms,
        error=look.error,
        loaded_ratio=info.loaded_ratio if info is not None and not look.is_fine else None,
        failures=app[STORE].failures(),
    )
    return render_json(
        Status(
            status=status_of(look, is_draining=lifecycle.draining),
            version=who.version,
            track=who.track,
            pod=who.pod,
            python=platform.python_version(),
            uptime_seconds=round(time.monotonic() - app[UPTIME].since, 3),
            in_flight=lifecycle.active,
            draining=lifecycle.draining,
            store=store,
            tokens=app[TOKENS_STATUS].status() if TOKENS_STATUS in app else None,
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
        "gzip" if accepts_gzip(request) else "",
    )
    return web.Response(body=body, headers=headers)
