"""Memory of bodies goes back to the system after they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

import pytest

from svc.serving.listener import SWEEP_SECONDS
from tests.support.plain_http import fetch
from tests.support.processes import resident_bytes
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess, service_process
from tests.support.waiting import eventually, until

MIB = 1 << 20
CLIENTS = 30


@pytest.fixture
def service(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    with service_process(
        KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0", KV_STORE_TIMEOUT_MS="60000"
    ) as service:
        fetch(f"{service.base}/v1/kv/warm", "PUT", b"up")
        yield service


async def upload(service: ServiceProcess, i: int) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(f"PUT /v1/kv/k{i} HTTP/1.1\r\nHost: t\r\nContent-Length: {MIB}\r\n\r\n")
        await wire.send(bytes(MIB))
        assert (await wire.answer()).status in {200, 201}


async def assert_given_back(service: ServiceProcess, before: int) -> None:
    await asyncio.to_thread(
        until,
        lambda: resident_bytes(service.pid) < before * 1.2,
        what="the memory to be given back",
    )


async def test_many_bodies_at_once_leave_hardly_anything(service: ServiceProcess) -> None:
    before = resident_bytes(service.pid)

    for _ in range(3):
        await asyncio.gather(*(upload(service, i) for i in range(CLIENTS)))

    await assert_given_back(service, before)


async def test_bodies_that_waited_for_redis_leave_hardly_anything(
    service: ServiceProcess, redis_server: RedisServer
) -> None:
    before = resident_bytes(service.pid)
    # Freed once, so large a body is taken from the heap, no more from the system.
    await asyncio.gather(*(upload(service, i) for i in range(CLIENTS)))

    redis_server.signal(signal.SIGSTOP)
    uploads = [asyncio.create_task(upload(service, i)) for i in range(CLIENTS)]
    await eventually(lambda: is_holding(service, CLIENTS * MIB), what="the bodies")
    # Memory is given back every SWEEP_SECONDS: now, too early, and later, too.
    await asyncio.sleep(3 * SWEEP_SECONDS)
    redis_server.signal(signal.SIGCONT)
    await asyncio.gather(*uploads)

    await assert_given_back(service, before)


async def is_holding(service: ServiceProcess, size: int) -> bool:
    metrics = (await asyncio.to_thread(fetch, f"{service.admin_base}/metrics")).body.decode()
    (line,) = [each for each in metrics.splitlines() if each.startswith("kv_buffered_bytes ")]
    return float(line.split()[1]) >= size


async def test_idle_connections_keep_no_answers(service: ServiceProcess) -> None:
    await upload(service, 0)
    before = resident_bytes(service.pid)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CLIENTS):
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send("GET /v1/kv/k0 HTTP/1.1\r\nHost: t\r\n\r\n")
            assert len((await wire.answer()).body) == MIB

        await asyncio.to_thread(
            until,
            lambda: resident_bytes(service.pid) < before + CLIENTS * MIB / 2,
            what="the memory to be given back",
        )
