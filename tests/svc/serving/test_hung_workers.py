"""A worker that hangs keeps its port, and the kernel keeps giving it connections."""

from __future__ import annotations

import asyncio
import os
import signal

from svc.serving.worker import HUNG_SECONDS
from tests.support.processes import is_running
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.waiting import eventually
from tests.support.worker_services import running_workers

GET = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n"


async def test_a_worker_that_hangs_is_killed_and_replaced(redis_server: RedisServer) -> None:
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service:
        hung, healthy = service.workers()

        os.kill(hung, signal.SIGSTOP)

        await eventually(
            lambda: not is_running(hung), seconds=HUNG_SECONDS + 40, what="the hung one's end"
        )
        await service.all_ready()
        assert healthy in service.workers()
        for _ in range(16):  # the kernel would give a hung one half of them
            async with raw_connection(service.port) as wire:
                await wire.send(GET)
                assert (await wire.answer()).status == 200
        service.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0
        said = service.output()

    assert "worker hangs, killing it" in said
    assert "worker serves again" in said


async def test_workers_that_were_all_stopped_for_a_while_are_kept(
    redis_server: RedisServer,
) -> None:
    """As when a laptop sleeps, or a container is frozen."""
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service:
        workers = service.workers()
        for pid in (service.pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(HUNG_SECONDS + 2)

        # The supervisor first: it must not judge by its clock.
        for pid in (service.pid, *workers):
            os.kill(pid, signal.SIGCONT)

        await service.all_ready()
        assert service.workers() == workers
