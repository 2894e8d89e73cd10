"""The least that a read, a write and an increment can cost on this service's own connections.

The handlers stand where tallykv's do: behind its listener and its dispatcher, over its batches and
its connections to Redis. They check nothing and write plain strings. Everything that tallykv costs
more is the price of its contract and of its signals. With ``--signals`` the floor has these too, by
the settings in the environment.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import hiredis
import uvloop
from aiohttp import web
from multidict import CIMultiDict

from svc.api.answer import Answer
from svc.api.budget import BUDGET, ByteBudget
from svc.api.context import IDENTITY, LIFECYCLE, SIGNALS, Lifecycle
from svc.app import build_identity, build_signals
from svc.domain.errors import StoreUnavailable
from svc.serving.listener import ListenerRunner
from svc.settings import Settings
from svc.stores.batcher import Batcher
from svc.stores.wire import Target, Wire, open_wire
from svc.telemetry.settings import load_tracing
from svc.telemetry.signals import Signals

REDIS: Final = urlsplit(os.environ["REDIS_URL"])
TARGET: Final = Target(host=REDIS.hostname or "", port=REDIS.port or 6379)
#: Where the names are in the paths.
KEY: Final = slice(len("/v1/kv/"), None)
COUNTER: Final = slice(len("/v1/counters/"), -len("/increments"))

free: list[Wire] = []


async def ask(*words: Any) -> Any:
    wire = free.pop() if free else await open_wire(TARGET)
    (reply,) = await wire.round_trip([hiredis.pack_command(words)], 1)
    free.append(wire)
    return reply


async def read_all(keys: list[str], _: float) -> Sequence[Any]:
    values: Sequence[Any] = await ask("MGET", *keys)
    return values


async def write_all(pairs: list[tuple[str, bytes]], _: float) -> Sequence[Any]:
    return [await ask("MSET", *[word for pair in pairs for word in pair])] * len(pairs)


async def add_all(names: list[str], _: float) -> Sequence[Any]:
    """Send one sum: the load is on one counter."""
    last = await ask("INCRBY", names[0], len(names))
    return range(last - len(names) + 1, last + 1)


def submitter(
    send: Callable[[list[Any], float], Awaitable[Sequence[Any]]],
) -> Callable[[Any], Awaitable[Any]]:
    return Batcher(send, lost=StoreUnavailable, timeout_seconds=60).submit


def build_app(settings: Settings, signals: Signals) -> web.Application:
    submit_read, submit_write = submitter(read_all), submitter(write_all)
    submit_add = submitter(add_all)

    async def read(request: web.Request) -> web.Response:
        return Answer(await submit_read(request.raw_path[KEY]), CIMultiDict())

    async def write(request: web.Request) -> web.Response:
        await submit_write((request.raw_path[KEY], await request.read()))
        return Answer(None, CIMultiDict(), 204)

    async def add(request: web.Request) -> web.Response:
        return Answer(b"%d" % await submit_add(request.raw_path[COUNTER]), CIMultiDict())

    app = web.Application()
    app[IDENTITY], app[LIFECYCLE] = build_identity(settings), Lifecycle()
    app[SIGNALS] = signals
    app[BUDGET] = ByteBudget(settings.max_buffered_bytes, signals.metrics.rejected)
    # As in api/routes.py, for the dispatcher.
    key = "/v1/kv/{key:(?s:.+)}"
    app.add_routes([web.get(key, read), web.put(key, write)])
    app.add_routes([web.post("/v1/counters/{name}/increments", add)])
    return app


async def serve() -> None:
    settings = Settings(telemetry="--signals" in sys.argv)
    app = build_app(settings, build_signals(settings, load_tracing(os.environ)))
    runner = ListenerRunner(
        app, settings, shutdown_seconds=1, max_connections=settings.max_connections
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    uvloop.run(serve())
