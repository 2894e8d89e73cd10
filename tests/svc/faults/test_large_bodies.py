"""Bodies at the limit, above it, and above it only after decompression."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from svc.serving.bounded_reading import DROPPED_BYTES_PER_SECOND
from svc.settings import Settings
from tests.support.answers import get, put
from tests.support.compressed_bodies import MIB, bomb, chunk, compressed
from tests.support.raw_http import RawResponse, exchange, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service

HEAD = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n"
CHUNKED = HEAD + "Transfer-Encoding: chunked\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=redis_server.url)) as service:
        yield service


async def refused_upload(service: Service, head: str, *parts: bytes) -> RawResponse:
    """Upload, read the refusal, and assert that the connection is closed and nothing is stored."""
    async with raw_connection(service.port) as wire:
        await wire.send(head, "\r\n", *parts)
        answer = await wire.answer()
        assert answer.headers["Connection"] == "close", answer
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["KV-Version"]
        assert await wire.closed()
    assert (await get(service, "k")).status == 404
    return answer


async def test_exactly_a_mebibyte_is_stored_whole(service: Service) -> None:
    body = bytes(range(256)) * (MIB // 256)

    assert (await put(service, "k", body)).status == 201

    assert (await get(service, "k")).body == body


@pytest.mark.parametrize("size", [1, 4096, MIB])
async def test_exactly_a_mebibyte_in_chunks_is_stored_whole(service: Service, size: int) -> None:
    body = bytes(range(256)) * (MIB // 256) if size > 1 else b"x" * 5000
    chunks = b"".join(chunk(body[at : at + size]) for at in range(0, len(body), size))

    answer = await exchange(service.port, CHUNKED, "\r\n", chunks, b"0\r\n\r\n")

    assert answer.status == 201
    assert (await get(service, "k")).body == body


async def test_a_byte_more_is_413_by_its_declared_length_without_reading_it(
    service: Service,
) -> None:
    answer = await refused_upload(service, f"{HEAD}Content-Length: {MIB + 1}\r\n", b"begun")

    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
    assert answer.json["applied"] == "no"


async def test_a_byte_more_is_413_when_sent_whole(service: Service) -> None:
    answer = await refused_upload(service, f"{HEAD}Content-Length: {MIB + 1}\r\n", bytes(MIB + 1))

    assert answer.status == 413


async def test_a_byte_more_in_chunks_without_a_length_is_413(service: Service) -> None:
    answer = await refused_upload(service, CHUNKED, chunk(bytes(MIB)), chunk(b"x"))

    assert answer.status == 413


async def test_an_endless_body_is_413_and_cut_off(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(CHUNKED, "\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                await wire.send(chunk(bytes(MIB // 4)))
        # A connection reset may discard the response while data is still being sent.
        assert await wire.closed()
    assert (await get(service, "k")).status == 404


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_body_is_stored_unpacked(service: Service, coding: str) -> None:
    body = b"hello " * 1000
    packed = compressed(body, coding)

    answer = await exchange(
        service.port,
        f"{HEAD}Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n",
        packed,
    )

    assert answer.status == 201
    stored = await get(service, "k")
    assert stored.body == body
    assert "Content-Encoding" not in stored.headers


async def test_a_compressed_mebibyte_is_stored_and_a_byte_more_is_413(service: Service) -> None:
    whole, more = compressed(bytes(MIB)), compressed(bytes(MIB + 1))
    gzip = f"{HEAD}Content-Encoding: gzip\r\n"

    answer = await refused_upload(service, f"{gzip}Content-Length: {len(more)}\r\n", more)

    assert answer.status == 413
    accepted = await exchange(service.port, f"{gzip}Content-Length: {len(whole)}\r\n\r\n", whole)
    assert accepted.status == 201
    assert len((await get(service, "k")).body) == MIB


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_small_bomb_whose_length_is_declared_is_413(service: Service, coding: str) -> None:
    packed = b"".join(bomb(512, coding))
    assert len(packed) < MIB

    answer = await refused_upload(
        service,
        f"{HEAD}Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n",
        packed,
    )

    assert answer.status == 413


@pytest.mark.parametrize(
    "packed",
    [
        b"this is not gzip",
        compressed(b"hello " * 100)[:-12],
        compressed(b"hello " * 100)[:-1] + b"\1",
        compressed(b"hello")[:10],
        b"\x1f\x8b",
    ],
    ids=["no gzip", "cut off", "wrong length", "head only", "two bytes"],
)
async def test_a_broken_gzip_is_400(service: Service, packed: bytes) -> None:
    answer = await exchange(
        service.port,
        f"{HEAD}Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n",
        packed,
    )

    assert (answer.status, answer.json["code"]) == (400, "body_invalid")
    assert (await get(service, "k")).status == 404


@pytest.mark.parametrize("broken", [b"ZZ\r\nhello\r\n", b"5\r\nhelloXX", b"-1\r\n", b"5 \r\n\r"])
async def test_broken_chunks_are_400_and_closed(service: Service, broken: bytes) -> None:
    for parts in ((broken,), (chunk(b"good"), broken)):
        async with raw_connection(service.port) as wire:
            await wire.send(CHUNKED, "\r\n", *parts)

            answer = await wire.answer()

            assert answer.status == 400
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert await wire.closed()
    assert (await get(service, "k")).status == 404


async def test_a_counters_body_has_a_small_limit_of_its_own(service: Service) -> None:
    answer = await exchange(
        service.port,
        "POST /v1/counters/n/increments HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n",
    )

    assert answer.status == 413


async def test_a_body_that_nobody_wants_is_read_slowly_and_then_the_next_request(
    service: Service,
) -> None:
    size = MIB * 3 // 2
    head = f"{HEAD}Content-Encoding: br\r\nContent-Length: {size}\r\n\r\n"
    async with raw_connection(service.port) as wire:
        await wire.send(head)
        assert (await wire.answer()).status == 415
        began = asyncio.get_running_loop().time()

        wire.writer.write(bytes(size) + b"GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n\r\n")

        assert (await wire.answer(seconds=30)).status == 404
        # The last piece is followed by no pause.
        took = asyncio.get_running_loop().time() - began
        assert took > (size - MIB // 4) / DROPPED_BYTES_PER_SECOND / 2
