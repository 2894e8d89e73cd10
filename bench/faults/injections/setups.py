"""The systems that most faults need: services on one Redis, with or without a proxy between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.consistency.workload import Workload
from bench.frame.program import Run
from bench.testbed.restartable import Redis, Service, restartable_redis, restartable_services

from ..experiment import Setup, Sizes, Target
from ..network_proxy import NetworkProxy, running_proxy


@dataclass(frozen=True)
class System:
    """The processes that a fault affects, and how long it lasts."""

    redis: Redis
    services: Sequence[Service]
    sizes: Sizes


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
        async with (
            restartable_redis(run.directory, *options) as redis,
            restartable_services(run.directory, redis.url, services, **settings) as running,
        ):
            if prepare is not None:
                await prepare(redis)
            yield Target(running, partial(inject, System(redis, running, run.sizes)))

    return setup


def behind_proxy(
    inject: Callable[[NetworkProxy, System, Workload], Awaitable[None]],
) -> Setup:
    """Return a setup of one service that reaches Redis through a proxy, which heals at the end."""

    @contextlib.asynccontextmanager
    async def setup(run: Run[Sizes]) -> AsyncIterator[Target]:
        async with (
            restartable_redis(run.directory) as redis,
            running_proxy(redis.port) as proxy,
            restartable_services(run.directory, f"redis://127.0.0.1:{proxy.port}") as services,
        ):

            async def inject_and_heal(workload: Workload) -> None:
                await inject(proxy, System(redis, services, run.sizes), workload)
                proxy.heal()

            yield Target(services, inject_and_heal)

    return setup
