"""What a connection may keep, and how many of them there may be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from svc.api.budget import BUDGET
from svc.serving.heads import MAX_HEAD_BYTES
from svc.settings import Settings
from tests.support.answers import get, put
from tests.support.raw_http import RawConnection, exchange, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

PATIENT_SECONDS = 60.0
CONNECTIONS = 8
GET = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_url=redis_server.url,
        max_connections=CONNECTIONS,
        header_timeout_seconds=PATIENT_SECONDS,
        body_timeout_seconds=PATIENT_SECONDS,
        store_timeout_ms=10_000,
    )
    async with running_service(settings) as service:
        yield service


def lines_of(size: int) -> str:
    """Return headers of so many bytes together."""
    line = "X-Filler: " + "a" * 1000 + "\r\n"
    lines = line * (size // len(line))
    return lines + "X: " + "b" * (size - len(lines) - 5) + "\r\n"


@pytest.mark.parametrize(("more", "status"), [(0, 404), (1, 431)])
async def test_a_head_has_at_most_so_many_bytes(service: Service, more: int, status: int) -> None:
    head = GET + lines_of(MAX_HEAD_BYTES + more - len(GET) - 2) + "\r\n"
    assert len(head) == MAX_HEAD_BYTES + more

    for step in (len(head), 1000):
        parts = [head[at : at + step] for at in range(0, len(head), step)]
        answer = await exchange(service.port, *parts)
        assert answer.status == status
        if status == 431:
            assert answer.json["code"] == "header_too_long"


async def test_a_head_that_does_not_end_is_refused_when_it_is_too_large(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET, lines_of(2 * MAX_HEAD_BYTES))

        assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 431


async def test_each_head_of_a_connection_has_so_many_bytes(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        for _ in range(4):
            await wire.send(GET, lines_of(MAX_HEAD_BYTES // 2), "\r\n")
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 404
        await wire.send((GET + lines_of(MAX_HEAD_BYTES // 2) + "\r\n") * 4)
        for _ in range(4):
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 404


async def test_a_trailer_that_does_not_end_is_refused(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        await wire.send("1\r\na\r\n0\r\n")
        for _ in range(40):
            await wire.send(lines_of(8 * 1024))
            await asyncio.sleep(0.01)

        assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 400
    assert (await get(service, "k")).status == 404


async def test_small_chunks_with_extensions_are_no_trailer(service: Service) -> None:
    chunk = "1;" + "e" * 500 + "\r\na\r\n"
    async with raw_connection(service.port) as wire:
        await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            await wire.send(chunk)
        await wire.send("0\r\n\r\n")

        assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 201
    assert (await get(service, "k")).body == b"a" * 200


async def test_requests_that_wait_unread_take_of_the_budget(redis_server: RedisServer) -> None:
    settings = Settings(
        store_url=redis_server.url,
        store_timeout_ms=10_000,
        max_value_bytes=16_000,
        max_batch_bytes=4_000,
        max_buffered_bytes=32_000,
    )
    async with running_service(settings) as small:
        async with raw_connection(small.port) as wire:
            with contextlib.suppress(ConnectionError):
                await wire.send((GET + "\r\n") * 30_000)
            assert await wire.closed(seconds=PATIENT_SECONDS)

        await eventually(lambda: small.app[BUDGET].held == 0, what="the end of the connection")
        assert (await put(small, "k", bytes(16_000))).status == 201


async def test_beyond_so_many_connections_the_oldest_idle_ones_make_room(service: Service) -> None:
    async with contextlib.AsyncExitStack() as stack:

        async def connect() -> RawConnection:
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send(GET, "\r\n")
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 404
            return wire

        wires = [await connect() for _ in range(CONNECTIONS + 2)]

        for wire in wires[:2]:
            assert await wire.closed(seconds=PATIENT_SECONDS)
        for wire in wires[2:]:
            await wire.send(GET, "\r\n")
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 404


async def test_clients_that_send_their_bodies_slowly_do_not_take_all_connections(
    service: Service,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        wires = []
        for _ in range(CONNECTIONS):
            wire = await stack.enter_async_context(raw_connection(service.port))
            await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
            wires.append(wire)
        await eventually(lambda: service.app[BUDGET].held > 0, what="the bodies")

        assert (await exchange(service.port, GET, "\r\n")).status == 404
        assert await wires[0].closed(seconds=PATIENT_SECONDS)
