"""The systems that most faults need: services on one Redis, with or without a proxy between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.consistency.workload import Workload
from bench.frame.processes import running, running_all
from bench.frame.program import Run
from bench.testbed.servers import Redis, Service

from ..experiment import Setup, Sizes, Target
from ..network_proxy import NetworkProxy, running_proxy


@dataclass(frozen=True)
class System:
    """The processes that a fault affects, and how long it lasts."""

    redis: Redis
    services: Sequence[Service]
    sizes: Sizes


def redis_for_faults(directory: Path, *options: str) -> Redis:
    """Return a Redis with its files in this directory, and DEBUG commands."""
    debug = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0")
    return Redis(*debug, *options, directory=directory / "redis")


@contextlib.asynccontextmanager
async def running_behind(proxy: NetworkProxy, **settings: str) -> AsyncIterator[Service]:
    """Run a service that reaches Redis through the proxy, which this event loop serves."""
    service = Service(f"redis://127.0.0.1:{proxy.port}", settings)
    try:
        await asyncio.to_thread(service.start_ready)
        yield service
    finally:
        service.stop()


Injection = Callable[[System, Workload], Awaitable[None]]
Preparation = Callable[[Redis], Awaitable[None]]


def on_redis(
    inject: Injection,
    *options: str,
    prepare: Preparation | None = None,
    services: int = 1,
    **settings: str,
) -> Setup:
    """Return a setup of services with these settings on a Redis with these options."""

    @contextlib.asynccontextmanager
    async def setup(run: Run[Sizes]) -> AsyncIterator[Target]:
        with running(redis_for_faults(run.directory, *options)) as redis:
            instances = [Service(redis.url, settings) for _ in range(services)]
            with running_all(instances):
                if prepare is not None:
                    await prepare(redis)
                yield Target(instances, partial(inject, System(redis, instances, run.sizes)))

    return setup


def behind_proxy(
    inject: Callable[[NetworkProxy, System, Workload], Awaitable[None]],
) -> Setup:
    """Return a setup of one service that reaches Redis through a proxy, which heals at the end."""

    @contextlib.asynccontextmanager
    async def setup(run: Run[Sizes]) -> AsyncIterator[Target]:
        with running(redis_for_faults(run.directory)) as redis:
            async with running_proxy(redis.port) as proxy, running_behind(proxy) as service:

                async def inject_and_heal(workload: Workload) -> None:
                    await inject(proxy, System(redis, [service], run.sizes), workload)
                    proxy.heal()

                yield Target([service], inject_and_heal)

    return setup
