"""The service itself goes away: killed, or replaced one by one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

from ...consistency.workload import Workload
from ...testbed.restartable import running_redis, running_services
from ..scenes import Fault, Ground, Scene

#: Few requests are under way at any one moment.
KILLS: Final = 3


@contextlib.asynccontextmanager
async def killed(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_services(ground.directory, redis.url, 2) as services,
    ):

        async def strike(_workload: Workload) -> None:
            for _ in range(KILLS):
                services[0].kill()
                await asyncio.sleep(ground.fault_seconds / KILLS)
                await services[0].start()

        yield Scene(services, strike)


@contextlib.asynccontextmanager
async def replaced(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_services(ground.directory, redis.url, 3, KV_DRAIN_SECONDS="1") as services,
    ):

        async def strike(_: Workload) -> None:
            for each in services:
                each.signal(signal.SIGTERM)
                await each.ended()
                await each.start()

        yield Scene(services, strike)


FAULTS: Final = (
    Fault(name="service-kill", title="service: kill -9 of one of two, 3 times", scene=killed),
    Fault(name="service-rolling", title="service: rolling restart of three", scene=replaced),
)
