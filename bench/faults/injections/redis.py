"""Faults of Redis: killed and restarted, paused, slow, full, or closing connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

import redis

from bench.consistency.workload import Workload
from bench.frame.program import Run
from bench.testbed.restartable import (
    Redis,
    restartable_redis,
    restartable_services,
    wait_until,
)

from ..experiment import Fault, Sizes, Target

APPEND_ONLY: Final = ("--appendonly", "yes", "--appendfsync")
#: Other entries, and the delay of each when Redis loads them. Redis answers every 2 MB.
FILLERS: Final = 3_000
FILLER_BYTES: Final = 40_960
LOAD_DELAY_MICROSECONDS: Final = 1_000

PAUSE_SECONDS: Final = 2.0
SLEEP_SECONDS: Final = 1.0
KILL_CLIENTS_EVERY_SECONDS: Final = 0.1

#: Injects the fault into a running Redis.
Injection = Callable[[Redis, Run[Sizes]], Awaitable[None]]


@contextlib.asynccontextmanager
async def with_redis(
    run: Run[Sizes], *options: str, inject: Injection, prepare: Injection | None = None
) -> AsyncIterator[Target]:
    """Run one service on a Redis with these options."""
    async with (
        restartable_redis(run.directory, *options) as server,
        restartable_services(run.directory, server.url) as services,
    ):
        if prepare is not None:
            await prepare(server, run)

        async def inject_now(_: Workload) -> None:
            await inject(server, run)

        yield Target(services, inject_now)


async def kill(server: Redis, run: Run[Sizes]) -> None:
    server.kill()
    await asyncio.sleep(run.sizes.fault_seconds)
    await server.start_ready()


async def restart_loading(server: Redis, _: Run[Sizes]) -> None:
    server.kill()
    server.command += ["--key-load-delay", str(LOAD_DELAY_MICROSECONDS)]
    server.start()

    async def is_loading() -> bool:
        try:
            await server.execute("PING")
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            return False
        return False

    await wait_until(is_loading, server, "is not loading")
    await server.wait_for_answer()


async def fill(server: Redis, _: Run[Sizes]) -> None:
    """Make Redis's file large."""
    await server.execute("DEBUG", "POPULATE", FILLERS, "filler", FILLER_BYTES, seconds=30)
    # DEBUG POPULATE writes to memory alone.
    await server.execute("BGREWRITEAOF")

    async def is_written() -> bool:
        state = await server.execute("INFO", "persistence")
        return not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])

    await wait_until(is_written, server, "still writes its file")


async def pause(server: Redis, _: Run[Sizes]) -> None:
    with server.stopped():
        await asyncio.sleep(PAUSE_SECONDS)


async def pause_long(server: Redis, run: Run[Sizes]) -> None:
    with server.stopped():
        await asyncio.sleep(run.sizes.long_pause_seconds)


async def sleep_twice(server: Redis, _: Run[Sizes]) -> None:
    await server.execute("DEBUG", "SLEEP", SLEEP_SECONDS)
    await asyncio.sleep(SLEEP_SECONDS / 4)
    await server.execute("DEBUG", "SLEEP", SLEEP_SECONDS)


async def kill_clients(server: Redis, run: Run[Sizes]) -> None:
    for _ in range(round(run.sizes.fault_seconds / KILL_CLIENTS_EVERY_SECONDS)):
        await server.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(KILL_CLIENTS_EVERY_SECONDS)


async def reach_maxmemory(server: Redis, run: Run[Sizes]) -> None:
    await server.execute("CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(run.sizes.fault_seconds)
    await server.execute("CONFIG", "SET", "maxmemory", "0")


def _with_file(
    run: Run[Sizes], *, fsync: str, inject: Injection, prepare: Injection | None = None
) -> contextlib.AbstractAsyncContextManager[Target]:
    options = (*APPEND_ONLY, fsync, "--rdbcompression", "no")
    return with_redis(run, *options, inject=inject, prepare=prepare)


FAULTS: Final = (
    Fault(
        name="redis-kill-always",
        title="Redis: kill -9, appendfsync always",
        setup=partial(_with_file, fsync="always", inject=kill),
    ),
    Fault(
        name="redis-kill-everysec",
        title="Redis: kill -9, appendfsync everysec",
        setup=partial(_with_file, fsync="everysec", inject=kill),
        is_durable=False,
        promise="changes of the last 2 s may be lost",
    ),
    Fault(
        name="redis-loading",
        title="Redis: restart with a file to load",
        setup=partial(_with_file, fsync="always", inject=restart_loading, prepare=fill),
    ),
    Fault(
        name="redis-pause",
        title="Redis: SIGSTOP for 2 s",
        setup=partial(with_redis, inject=pause),
    ),
    Fault(
        name="redis-pause-long",
        title="Redis: SIGSTOP for 20 s (quick: 5 s)",
        setup=partial(with_redis, inject=pause_long),
    ),
    Fault(
        name="redis-client-kill",
        title="Redis: CLIENT KILL of all, 10 times a second",
        setup=partial(with_redis, inject=kill_clients),
    ),
    Fault(
        name="redis-maxmemory",
        title="Redis: maxmemory reached",
        setup=partial(with_redis, inject=reach_maxmemory),
    ),
    Fault(
        name="redis-slow",
        title="Redis: DEBUG SLEEP 1, twice",
        setup=partial(with_redis, inject=sleep_twice),
    ),
)
