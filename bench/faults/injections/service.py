"""Faults of the service: it is killed, or its instances are replaced one by one."""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from bench.consistency.workload import Workload

from ..experiment import Fault
from .setups import System, on_redis

#: Few requests are in flight at any one moment.
KILLS: Final = 3


async def kill(system: System, _workload: Workload) -> None:
    for _ in range(KILLS):
        system.services[0].kill()
        await asyncio.sleep(system.sizes.fault_seconds / KILLS)
        await asyncio.to_thread(system.services[0].start_ready)


async def restart_one_by_one(system: System, _: Workload) -> None:
    for service in system.services:
        service.send_signal(signal.SIGTERM)
        await asyncio.to_thread(service.wait_for_end)
        await asyncio.to_thread(service.start_ready)


FAULTS: Final = (
    Fault("service-kill", "service: kill -9 of one of two, 3 times", on_redis(kill, services=2)),
    Fault(
        "service-rolling",
        "service: rolling restart of three",
        on_redis(restart_one_by_one, services=3, KV_DRAIN_SECONDS="1"),
    ),
)
