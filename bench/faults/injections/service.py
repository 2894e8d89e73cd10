"""Faults of the service: it is killed, or its instances are replaced one by one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

from bench.consistency.workload import Workload
from bench.frame.program import Run
from bench.testbed.restartable import restartable_redis, restartable_services

from ..experiment import Fault, Sizes, Target

#: Few requests are in flight at any one moment.
KILLS: Final = 3


@contextlib.asynccontextmanager
async def kill(run: Run[Sizes]) -> AsyncIterator[Target]:
    async with (
        restartable_redis(run.directory) as redis,
        restartable_services(run.directory, redis.url, 2) as services,
    ):

        async def inject(_workload: Workload) -> None:
            for _ in range(KILLS):
                services[0].kill()
                await asyncio.sleep(run.sizes.fault_seconds / KILLS)
                await services[0].start_ready()

        yield Target(services, inject)


@contextlib.asynccontextmanager
async def rolling_restart(run: Run[Sizes]) -> AsyncIterator[Target]:
    async with (
        restartable_redis(run.directory) as redis,
        restartable_services(run.directory, redis.url, 3, KV_DRAIN_SECONDS="1") as services,
    ):

        async def inject(_: Workload) -> None:
            for each in services:
                each.send_signal(signal.SIGTERM)
                await each.wait_for_end()
                await each.start_ready()

        yield Target(services, inject)


FAULTS: Final = (
    Fault(name="service-kill", title="service: kill -9 of one of two, 3 times", setup=kill),
    Fault(name="service-rolling", title="service: rolling restart of three", setup=rolling_restart),
)
