"""Request bodies: bounded whatever length they declare, decompressed, never stored in part."""

from __future__ import annotations

import dataclasses
import gzip
import io
import zlib
from collections.abc import AsyncIterator

import pytest

from tests.support.raw_http import raw_connection
from tests.support.services import running_service
from tests.svc.api.client import Api, problem

LIMIT = 1 << 20


async def chunks(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        yield b"x" * min(size, 1 << 16)
        size -= 1 << 16


async def test_one_byte_too_many_is_refused_and_the_connection_closed(api: Api) -> None:
    answer = await api.put("/v1/kv/a", io.BytesIO(b"x" * (LIMIT + 1)))

    said = problem(answer, 413, "body_too_large")
    assert said["applied"] == "no"
    assert str(LIMIT) in said["detail"]
    assert answer.headers["Connection"] == "close"
    assert await api.keys() == []


async def test_a_declared_length_alone_is_refused_at_once(api: Api) -> None:
    answer = await api.raw(
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 1000000000000\r\n\r\nonly this"
    )

    problem(answer, 413, "body_too_large")


async def test_a_body_without_a_length_is_kept_up_to_the_limit(api: Api) -> None:
    answer = await api.put("/v1/kv/a", chunks(LIMIT))

    assert answer.status == 201
    assert (await api.get("/v1/kv/a")).body == b"x" * LIMIT


async def test_a_body_without_a_length_is_refused_beyond_the_limit(api: Api) -> None:
    answer = await api.put("/v1/kv/a", chunks(LIMIT + (1 << 16)))

    problem(answer, 413, "body_too_large")
    assert await api.keys() == []


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", gzip.compress(b"hello", mtime=0)), ("deflate", zlib.compress(b"hello"))],
)
async def test_a_compressed_body_is_kept_decompressed(api: Api, coding: str, packed: bytes) -> None:
    answer = await api.put("/v1/kv/a", packed, headers={"Content-Encoding": coding})

    assert answer.status == 201
    assert (await api.get("/v1/kv/a")).body == b"hello"


async def test_a_bomb_is_refused(api: Api) -> None:
    bomb = gzip.compress(bytes(64 * LIMIT))
    assert len(bomb) < LIMIT

    answer = await api.put("/v1/kv/a", bomb, headers={"Content-Encoding": "gzip"})

    problem(answer, 413, "body_too_large")
    assert await api.keys() == []


@pytest.mark.parametrize("cut", [1, 10, 25, -9, -4])
async def test_a_compressed_body_that_is_cut_short_is_not_kept(api: Api, cut: int) -> None:
    packed = gzip.compress(bytes(range(256)) * 20)[:cut]

    answer = await api.put("/v1/kv/a", packed, headers={"Content-Encoding": "gzip"})

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await api.keys() == []


async def test_a_compressed_body_that_is_damaged_is_not_kept(api: Api) -> None:
    answer = await api.put("/v1/kv/a", b"no gzip at all", headers={"Content-Encoding": "gzip"})

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await api.keys() == []


@pytest.mark.parametrize("coding", ["compress", "x-unknown", "br", "zstd", "gzip, gzip"])
async def test_an_unsupported_content_coding_is_refused(api: Api, coding: str) -> None:
    """RFC 9110 §8.4: 415. If stored unchanged, the bytes would be returned without their coding."""
    answer = await api.put("/v1/kv/a", b"x", headers={"Content-Encoding": coding})

    assert 400 <= answer.status < 500
    assert await api.keys() == []


async def test_a_body_whose_client_goes_away_is_not_kept(api: Api) -> None:
    async with raw_connection(api.service.port) as wire:
        await wire.send(b"PUT /v1/kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 10\r\n\r\nhalf")

    assert await api.keys() == []


async def test_a_body_that_does_not_come_in_time_is_refused(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, body_timeout_seconds=0.1)
    async with running_service(settings) as service:
        answer = await Api(service).raw(
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 10\r\n\r\nhalf"
        )

    said = problem(answer, 408, "body_timeout")
    assert said["applied"] == "no"
    assert answer.headers["Connection"] == "close"
    assert await api.keys() == []


async def test_the_largest_value_is_a_setting(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, max_value_bytes=10)
    async with running_service(settings) as service:
        small = Api(service)
        assert (await small.put("/v1/kv/a", b"x" * 10)).status == 201
        problem(await small.put("/v1/kv/a", b"x" * 11), 413, "body_too_large")
        problem(await small.post("/v1/kv/a/", b"x" * 11), 413, "body_too_large")
        problem(await small.put("/a", b'{"a": 12345}'), 413, "body_too_large")
