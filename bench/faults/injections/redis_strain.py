"""Redis stays and does not do what it should: paused, slow, full, closing connections."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from ...consistency.workload import Workload
from ...testbed.restartable import Redis, running_redis, running_services
from ..scenes import Fault, Ground, Scene

PAUSE_SECONDS: Final = 2.0
SLEEP_SECONDS: Final = 1.0
#: Between two rounds of closing every connection.
KILL_EVERY_SECONDS: Final = 0.1

Deed = Callable[[Redis, Ground], Awaitable[None]]


@contextlib.asynccontextmanager
async def strained(ground: Ground, *, deed: Deed) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as server,
        running_services(ground.directory, server.url) as services,
    ):

        async def strike(_: Workload) -> None:
            await deed(server, ground)

        yield Scene(services, strike)


async def _pause(server: Redis, seconds: float) -> None:
    server.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        server.signal(signal.SIGCONT)


async def pause(server: Redis, _: Ground) -> None:
    await _pause(server, PAUSE_SECONDS)


async def pause_long(server: Redis, ground: Ground) -> None:
    await _pause(server, ground.long_pause_seconds)


async def sleep_twice(server: Redis, _: Ground) -> None:
    await server.ask("DEBUG", "SLEEP", SLEEP_SECONDS)
    await asyncio.sleep(SLEEP_SECONDS / 4)
    await server.ask("DEBUG", "SLEEP", SLEEP_SECONDS)


async def close_connections(server: Redis, ground: Ground) -> None:
    for _ in range(round(ground.fault_seconds / KILL_EVERY_SECONDS)):
        await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(KILL_EVERY_SECONDS)


async def fill_up(server: Redis, ground: Ground) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(ground.fault_seconds)
    await server.ask("CONFIG", "SET", "maxmemory", "0")


FAULTS: Final = (
    Fault(name="redis-pause", title="Redis: SIGSTOP for 2 s", scene=partial(strained, deed=pause)),
    Fault(
        name="redis-pause-long",
        title="Redis: SIGSTOP for 20 s (quick: 5 s)",
        scene=partial(strained, deed=pause_long),
    ),
    Fault(
        name="redis-client-kill",
        title="Redis: CLIENT KILL of all, 10 times a second",
        scene=partial(strained, deed=close_connections),
    ),
    Fault(
        name="redis-maxmemory",
        title="Redis: maxmemory reached",
        scene=partial(strained, deed=fill_up),
    ),
    Fault(
        name="redis-slow",
        title="Redis: DEBUG SLEEP 1, twice",
        scene=partial(strained, deed=sleep_twice),
    ),
)
