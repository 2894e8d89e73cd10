"""The memory that clients can make the process use, measured in a separate process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.support.compressed_bodies import MIB, bomb, chunk
from tests.support.plain_http import fetch
from tests.support.processes import open_files, peak_resident_bytes
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess, service_process
from tests.support.waiting import until

HEAD = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
CLIENTS = 4
#: The most growth allowed. In each of three tests, CLIENTS try to make the process hold a GiB.
ALLOWED_GROWTH = 64 * MIB


@pytest.fixture
def service(redis_server: RedisServer) -> Iterator[ServiceProcess]:
    with service_process(
        KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0", KV_STORE_TIMEOUT_MS="60000"
    ) as service:
        fetch(f"{service.base}/v1/kv/warm", "PUT", b"up")
        yield service


async def upload(service: ServiceProcess, coding: str, parts: Iterator[bytes]) -> None:
    """Send the parts until the server closes the connection. Only a 413 may be received."""
    async with raw_connection(service.port) as wire:
        await wire.send(HEAD, f"Content-Encoding: {coding}\r\n" if coding else "", "\r\n")
        with contextlib.suppress(ConnectionError):
            for part in parts:
                wire.writer.write(chunk(part))
                await wire.writer.drain()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            assert (await wire.answer()).status == 413
        assert await wire.closed()


async def test_bodies_of_a_gibibyte_grow_the_process_hardly_and_are_not_stored(
    service: ServiceProcess,
) -> None:
    before = peak_resident_bytes(service.pid)

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(upload(service, "", (bytes(MIB) for _ in range(1024))))
            for coding in ("gzip", "deflate"):
                clients.create_task(upload(service, coding, bomb(1024, coding)))

    assert peak_resident_bytes(service.pid) - before < ALLOWED_GROWTH
    assert (await asyncio.to_thread(fetch, f"{service.base}/v1/kv/k")).status == 404


async def test_a_batch_that_asks_for_500_large_entries_gets_some_and_grows_in_bounds(
    service: ServiceProcess,
) -> None:
    large = bytes(MIB)
    for i in range(20):
        assert fetch(f"{service.base}/v1/kv/large-{i}", "PUT", large).status == 201
    before = peak_resident_bytes(service.pid)
    operations = ",".join(f'{{"op":"get","key":"large-{i % 20}"}}' for i in range(500))

    answer = await asyncio.to_thread(
        fetch, f"{service.base}/v1/batch", "POST", f'{{"operations":[{operations}]}}'.encode()
    )

    assert answer.status == 200
    # The result of the single request, until the batch's response is full.
    assert {r["status"] for r in answer.json["results"]} == {200, 413}
    # The response may have 16 MiB of entries: 22 MiB in base64, in two or three copies.
    assert peak_resident_bytes(service.pid) - before < 4 * ALLOWED_GROWTH


async def test_connections_and_files_are_given_back(service: ServiceProcess) -> None:
    before = open_files(service.pid)
    for _ in range(3):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(100):
                wire = await stack.enter_async_context(raw_connection(service.port))
                await wire.send("GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n\r\n")

    await asyncio.to_thread(
        until, lambda: open_files(service.pid) <= before + 16, what="the closing"
    )


async def test_many_large_entries_read_at_once_are_all_answered(
    service: ServiceProcess,
) -> None:
    for i in range(25):
        assert fetch(f"{service.base}/v1/kv/large-{i}", "PUT", bytes(MIB)).status == 201

    async def read(i: int) -> tuple[int, int]:
        async with raw_connection(service.port) as wire:
            await wire.send(f"GET /v1/kv/large-{i} HTTP/1.1\r\nHost: t\r\n\r\n")
            answer = await wire.answer()
            return answer.status, len(answer.body)

    answers = await asyncio.gather(*(read(i) for i in range(25)))

    assert set(answers) == {(200, MIB)}


async def test_connections_with_large_heads_take_what_the_limits_say(
    service: ServiceProcess,
) -> None:
    connections, each = 200, 74 * 1024
    before = peak_resident_bytes(service.pid)
    filler = "X-Filler: " + "a" * 990 + "\r\n"
    head = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n" + filler * 32
    async with contextlib.AsyncExitStack() as stack:
        for i in range(connections):
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send(head, "\r\n" if i % 2 else "")
            if i % 2:
                assert (await wire.answer()).status == 404

        assert peak_resident_bytes(service.pid) - before < connections * each + 2 * MIB
