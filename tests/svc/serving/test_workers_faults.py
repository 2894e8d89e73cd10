"""Workers that are killed, drained, or lose their supervisor, under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from svc.serving.stop_order import SAME_ORDER_SECONDS
from svc.serving.worker import MIN_UPTIME_SECONDS
from tests.support.plain_http import fetch
from tests.support.processes import children_of, is_running
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.waiting import eventually
from tests.support.worker_services import (
    IncrementingClients,
    WorkerService,
    clients_of,
    running_workers,
)

GET = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n"
CLIENTS = 8
#: Long enough for what is done meanwhile on a busy machine.
DRAIN_SECONDS = 12
DRAINS = {"KV_DRAIN_SECONDS": str(DRAIN_SECONDS)}


async def value_of(service: WorkerService, counter: str) -> int:
    answer = await asyncio.to_thread(fetch, f"{service.base}/v1/counters/{counter}")
    return int(answer.json["value"])


async def test_a_killed_worker_takes_its_own_connections_only_and_comes_back(
    redis_server: RedisServer,
) -> None:
    async with (
        running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service,
        contextlib.AsyncExitStack() as stack,
    ):
        wires = [await stack.enter_async_context(raw_connection(service.port)) for _ in range(24)]
        for wire in wires:
            await wire.send(GET)
            assert (await wire.answer()).status == 200
        victim, survivor = service.workers()
        lost = of_clients(wires, clients_of(victim, service.port))
        kept = of_clients(wires, clients_of(survivor, service.port))
        assert len(lost) + len(kept) == len(wires)
        assert lost
        assert kept
        traffic = IncrementingClients(service.base, "n", retries=True)
        async with traffic.sending(CLIENTS):
            await traffic.more(200)

            os.kill(victim, signal.SIGKILL)

            for wire in kept:
                await wire.send(GET)
                assert (await wire.answer()).status == 200
            for wire in lost:
                assert await wire.closed()
            await traffic.more(200)
            await service.all_ready()
            assert victim not in service.workers()
            assert survivor in service.workers()
            await traffic.more(200)
        for wire in kept:
            await wire.send(GET)
            assert (await wire.answer()).status == 200

        assert traffic.failures == []
        assert await value_of(service, "n") == traffic.acknowledged
        await served_by_all(service)


def of_clients(wires: list[RawConnection], ports: set[int]) -> list[RawConnection]:
    return [w for w in wires if w.writer.get_extra_info("sockname")[1] in ports]


async def served_by_all(service: WorkerService) -> None:
    """The restarted worker gets new connections too."""

    async def connect_often() -> bool:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(16):
                wire = await stack.enter_async_context(raw_connection(service.port))
                await wire.send(GET)
                await wire.answer()
            return all(clients_of(pid, service.port) for pid in service.workers())

    await eventually(connect_often, what="a connection to each worker")


async def test_a_drain_under_load_fails_no_request_and_loses_no_step(
    redis_server: RedisServer,
) -> None:
    async with running_workers(2, KV_STORE_URL=redis_server.url, **DRAINS) as service:
        workers = service.workers()
        traffic = IncrementingClients(service.base, "n")
        async with traffic.sending(CLIENTS):
            await traffic.more(200)

            signalled = time.monotonic()
            service.signal(signal.SIGTERM)
            # As a mesh does: send until the pod is known to be not ready.
            await service.none_ready()
            await traffic.more(20)
            counted = await value_of(service, "n")
            traffic.stop()
        code = await asyncio.to_thread(service.wait)
        took = time.monotonic() - signalled

    assert code == 0
    assert traffic.failures == []
    assert counted <= traffic.acknowledged
    with contextlib.closing(redis_server.client()) as client:
        (counter,) = client.scan_iter()
        assert client.get(counter) == str(traffic.acknowledged).encode()
    assert DRAIN_SECONDS <= took < DRAIN_SECONDS + 10 + 20
    assert not any(map(is_running, workers))


async def test_a_request_under_way_ends_after_the_drain(redis_server: RedisServer) -> None:
    patient = {"KV_DRAIN_SECONDS": "0", "KV_SHUTDOWN_SECONDS": "60"}
    async with (
        running_workers(2, KV_STORE_URL=redis_server.url, **patient) as service,
        raw_connection(service.port) as wire,
    ):
        await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n")
        await wire.send("Content-Type: text/plain\r\n\r\nfirst")
        await eventually(lambda: under_way(service), what="the upload")
        service.signal(signal.SIGTERM)
        await eventually(lambda: refuses(service.port), what="the end of listening")

        await wire.send("after")

        assert (await wire.answer()).status == 201
        assert await asyncio.to_thread(service.wait) == 0


async def under_way(service: WorkerService) -> bool:
    answers = [await asyncio.to_thread(fetch, f"{base}/statusz") for base in service.admin_bases]
    in_flight: list[int] = [answer.json["in_flight"] for answer in answers]
    return sum(in_flight) == 1


async def refuses(port: int) -> bool:
    try:
        async with raw_connection(port):
            return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was in the queue of a listener that was just closed
        return False


async def test_a_later_signal_ends_all_at_once(redis_server: RedisServer) -> None:
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="300") as service:
        workers = service.workers()
        service.signal(signal.SIGTERM)
        await service.none_ready()
        await asyncio.sleep(SAME_ORDER_SECONDS)

        service.signal(signal.SIGINT)

        assert await asyncio.to_thread(service.wait) == 128 + signal.SIGINT
        await eventually(lambda: not any(map(is_running, workers)), what="the workers' end")


async def test_whoever_signals_the_whole_group_gets_a_drain(redis_server: RedisServer) -> None:
    async with running_workers(2, KV_STORE_URL=redis_server.url, **DRAINS) as service:
        signalled = time.monotonic()
        for pid in (service.pid, *service.workers()):
            os.kill(pid, signal.SIGTERM)
        await service.none_ready()

        assert await asyncio.to_thread(service.wait) == 0
        assert time.monotonic() - signalled >= DRAIN_SECONDS


async def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    async with running_workers(KV_DATA_DIR=str(tmp_path), KV_DRAIN_SECONDS="60") as service:
        children = children_of(service.pid)
        assert len(children) == 3

        os.kill(service.pid, signal.SIGKILL)

        try:
            await eventually(lambda: not any(map(is_running, children)), what="the children's end")
            # Its children may see its end before its own socket is closed.
            await eventually(lambda: refuses(service.port), what="the end of listening")
        finally:
            for pid in filter(is_running, children):
                os.kill(pid, signal.SIGKILL)


async def test_a_worker_that_dies_again_and_again_ends_the_service(
    redis_server: RedisServer,
) -> None:
    began = time.monotonic()
    async with running_workers(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service:
        survivor, victim = service.workers()
        killed: set[int] = set()
        # On a busy machine the first run may be too long to count.
        counts = time.monotonic() - began < MIN_UPTIME_SECONDS

        def kill_the_next() -> bool:
            for pid in set(service.workers()) - {survivor} - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return not is_running(service.pid)

        await eventually(kill_the_next, what="the end of it")
        code = await asyncio.to_thread(service.wait)
        said = service.output()

    assert code == 1
    assert len(killed) in ({5} if counts else {5, 6})
    assert victim in killed
    assert not is_running(survivor)
    assert "ended 5 times in a row" in said
    assert "starting another" in said
