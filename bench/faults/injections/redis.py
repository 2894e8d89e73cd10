"""Redis goes away: killed and started again on its file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, Literal

import redis

from ...consistency.workload import Workload
from ...testbed.restartable import Redis, running_redis, running_services, until
from ..scenes import Fault, Ground, Scene

APPEND_ONLY: Final = ("--appendonly", "yes")
#: Entries that are nobody's, and how long Redis dawdles over each when it loads them. It looks up
#: from loading at every 2 MB.
FILLERS: Final = 3_000
FILLER_BYTES: Final = 40_960
LOAD_DELAY_MICROSECONDS: Final = 1_000


@contextlib.asynccontextmanager
async def killed(ground: Ground, *, fsync: Literal["always", "everysec"]) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory, *APPEND_ONLY, "--appendfsync", fsync) as server,
        running_services(ground.directory, server.url) as services,
    ):

        async def strike(_: Workload) -> None:
            server.kill()
            await asyncio.sleep(ground.fault_seconds)
            await server.start()

        yield Scene(services, strike)


@contextlib.asynccontextmanager
async def loading(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_redis(
            ground.directory,
            *(*APPEND_ONLY, "--appendfsync", "always", "--rdbcompression", "no"),
        ) as server,
        running_services(ground.directory, server.url) as services,
    ):
        await _fill(server)

        async def strike(_: Workload) -> None:
            server.kill()
            server.command += ["--key-load-delay", str(LOAD_DELAY_MICROSECONDS)]
            server.spawn()
            await until(lambda: _is_loading(server), server, "is not loading")
            await server.answering()

        yield Scene(services, strike)


async def _fill(server: Redis) -> None:
    await server.ask("DEBUG", "POPULATE", FILLERS, "filler", FILLER_BYTES, seconds=30)
    # What DEBUG made is in no file until that is written anew.
    await server.ask("BGREWRITEAOF")

    async def is_written() -> bool:
        state = await server.ask("INFO", "persistence")
        return not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])

    await until(is_written, server, "is still writing its file")


async def _is_loading(server: Redis) -> bool:
    try:
        await server.ask("PING")
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


FAULTS: Final = (
    Fault(
        name="redis-kill-always",
        title="Redis: kill -9, appendfsync always",
        scene=partial(killed, fsync="always"),
    ),
    Fault(
        name="redis-kill-everysec",
        title="Redis: kill -9, appendfsync everysec",
        scene=partial(killed, fsync="everysec"),
        is_durable=False,
        promise="≤ 2 s lost",
    ),
    Fault(name="redis-loading", title="Redis: restart with a file to load", scene=loading),
)
