"""Faults of Redis: killed and restarted, paused, slow, full, or closing connections."""

from __future__ import annotations

import asyncio
from typing import Final

import redis

from bench.consistency.workload import Workload
from bench.testbed.servers import Redis, wait_until

from ..experiment import Fault
from .setups import System, on_redis

APPEND_ONLY: Final = ("--appendonly", "yes", "--rdbcompression", "no", "--appendfsync")
#: Other entries, and the delay of each when Redis loads them. Redis answers every 2 MB.
FILLERS: Final = 3_000
FILLER_BYTES: Final = 40_960
LOAD_DELAY_MICROSECONDS: Final = 1_000

PAUSE_SECONDS: Final = 2.0
SLEEP_SECONDS: Final = 1.0
KILL_CLIENTS_EVERY_SECONDS: Final = 0.1


async def kill(system: System, _: Workload) -> None:
    system.redis.kill()
    await asyncio.sleep(system.sizes.fault_seconds)
    await asyncio.to_thread(system.redis.start_ready)


async def restart_loading(system: System, _: Workload) -> None:
    server = system.redis
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
    await asyncio.to_thread(server.wait_until_ready)


async def fill(server: Redis) -> None:
    """Make Redis's file large."""
    await server.execute("DEBUG", "POPULATE", FILLERS, "filler", FILLER_BYTES, seconds=30)
    # DEBUG POPULATE writes to memory alone.
    await server.execute("BGREWRITEAOF")

    async def is_written() -> bool:
        state = await server.execute("INFO", "persistence")
        return not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])

    await wait_until(is_written, server, "still writes its file")


async def pause(system: System, _: Workload) -> None:
    with system.redis.stopped():
        await asyncio.sleep(PAUSE_SECONDS)


async def pause_long(system: System, _: Workload) -> None:
    with system.redis.stopped():
        await asyncio.sleep(system.sizes.long_pause_seconds)


async def sleep_twice(system: System, _: Workload) -> None:
    await system.redis.execute("DEBUG", "SLEEP", SLEEP_SECONDS)
    await asyncio.sleep(SLEEP_SECONDS / 4)
    await system.redis.execute("DEBUG", "SLEEP", SLEEP_SECONDS)


async def kill_clients(system: System, _workload: Workload) -> None:
    for _ in range(round(system.sizes.fault_seconds / KILL_CLIENTS_EVERY_SECONDS)):
        await system.redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(KILL_CLIENTS_EVERY_SECONDS)


async def reach_maxmemory(system: System, _: Workload) -> None:
    await system.redis.execute("CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(system.sizes.fault_seconds)
    await system.redis.execute("CONFIG", "SET", "maxmemory", "0")


FAULTS: Final = (
    Fault(
        "redis-kill-always",
        "Redis: kill -9, appendfsync always",
        on_redis(kill, *APPEND_ONLY, "always"),
    ),
    Fault(
        "redis-kill-everysec",
        "Redis: kill -9, appendfsync everysec",
        on_redis(kill, *APPEND_ONLY, "everysec"),
        is_durable=False,
        promise="changes of the last 2 s may be lost",
    ),
    Fault(
        "redis-loading",
        "Redis: restart with a file to load",
        on_redis(restart_loading, *APPEND_ONLY, "always", prepare=fill),
    ),
    Fault("redis-pause", "Redis: SIGSTOP for 2 s", on_redis(pause)),
    Fault("redis-pause-long", "Redis: SIGSTOP for 20 s (quick: 5 s)", on_redis(pause_long)),
    Fault(
        "redis-client-kill", "Redis: CLIENT KILL of all, 10 times a second", on_redis(kill_clients)
    ),
    Fault("redis-maxmemory", "Redis: maxmemory reached", on_redis(reach_maxmemory)),
    Fault("redis-slow", "Redis: DEBUG SLEEP 1, twice", on_redis(sleep_twice)),
)
