"""Clients that send a head or a body slowly, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from svc.api.context import SIGNALS
from svc.settings import Settings
from tests.support.answers import PROMPT_SECONDS, get, put, statuses, together
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service

LIMIT_SECONDS = 1.0
#: The timeout, the period of the check, and time for a busy machine. What drips would take longer.
CLOSED_SECONDS = 20.0

PUT = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n"
GET = "GET /v1/kv/none HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_url=redis_server.url,
        header_timeout_seconds=LIMIT_SECONDS,
        body_timeout_seconds=LIMIT_SECONDS,
    )
    async with running_service(settings) as service:
        yield service


async def send_slowly(wire: RawConnection, text: str, *, every: float = 0.05) -> float:
    """Send byte by byte until the end or until the server closes. Return the seconds taken."""
    started = time.monotonic()
    hung_up = asyncio.ensure_future(wire.reader.read(1))
    for byte in text.encode():
        await wire.send(bytes([byte]))
        done, _ = await asyncio.wait({hung_up}, timeout=every)
        if done:
            break
    hung_up.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await hung_up
    return time.monotonic() - started


async def test_a_head_that_does_not_end_is_408_and_closed(service: Service) -> None:
    async def begin(beginning: str) -> None:
        async with raw_connection(service.port) as wire:
            await wire.send(beginning)

            answer = await wire.answer(seconds=CLOSED_SECONDS)

            assert (answer.status, answer.json["code"]) == (408, "header_timeout")
            assert answer.json["applied"] == "no"
            assert answer.headers["Connection"] == "close"
            assert await wire.closed()

    head = "GET / HTTP/1.1\r\nHost: t\r\n"

    await together(*(begin(head[:size]) for size in range(1, len(head))))
    rejected = service.app[SIGNALS].metrics.rejected
    assert rejected["header_timeout",] == len(head) - 1
    assert rejected["malformed",] == 0


@pytest.mark.parametrize("sent", ["", "\r\n\r\n"], ids=["nothing", "empty-lines"])
async def test_a_client_that_begins_no_head_is_closed_without_an_answer(
    service: Service, sent: str
) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(sent)

        async with asyncio.timeout(10 * CLOSED_SECONDS):
            assert await wire.reader.read() == b""


async def test_a_head_that_drips_is_closed_as_soon(service: Service) -> None:
    began = time.monotonic()  # the service counts from the connection on
    async with raw_connection(service.port) as wire:
        await send_slowly(wire, "GET / HTTP/1.1\r\nHost: t\r\n" + "X-Slow: 1\r\n" * 100)
        took = time.monotonic() - began

        assert LIMIT_SECONDS * 0.9 < took < CLOSED_SECONDS


async def test_a_second_head_on_the_same_connection_has_the_same_time(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET)
        assert (await wire.answer()).status == 404

        took = await send_slowly(wire, "GET / HTTP/1.1\r\n" + "X-Slow: 1\r\n" * 100)

        assert LIMIT_SECONDS * 0.9 < took < CLOSED_SECONDS


async def test_a_second_head_begun_with_the_first_has_no_more_time(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET + "GET / HT")
        assert (await wire.answer()).status == 404

        assert await wire.closed(seconds=CLOSED_SECONDS)


async def test_a_connection_kept_alive_between_requests_is_not_closed(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET)
        assert (await wire.answer()).status == 404

        assert not await wire.closed(seconds=LIMIT_SECONDS + 1.0)
        await wire.send(GET)
        assert (await wire.answer()).status == 404


async def test_a_body_that_does_not_end_is_408_and_closed(service: Service) -> None:
    async def upload(rest: str) -> None:
        async with raw_connection(service.port) as wire:
            await wire.send(PUT, rest)

            answer = await wire.answer(seconds=CLOSED_SECONDS)

            assert (answer.status, answer.json["code"]) == (408, "body_timeout")
            assert answer.json["applied"] == "no"
            assert answer.headers["Connection"] == "close"
            assert await wire.closed()

    await together(
        upload("Content-Length: 100\r\n\r\n"),
        upload("Content-Length: 100\r\n\r\nhalf"),
        upload("Transfer-Encoding: chunked\r\n\r\n"),
        upload("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        upload("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"),
    )
    assert (await get(service, "k")).status == 404


async def test_a_body_that_drips_is_408_as_soon(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        began = time.monotonic()  # the service counts from the head on
        await wire.send(f"{PUT}Content-Length: 1000\r\n\r\n")
        await send_slowly(wire, "x" * 500)
        took = time.monotonic() - began

    assert LIMIT_SECONDS * 0.9 < took < CLOSED_SECONDS
    assert (await get(service, "k")).status == 404


async def test_a_body_within_its_time_may_outlast_the_time_of_a_head(
    redis_server: RedisServer,
) -> None:
    settings = Settings(store_url=redis_server.url, header_timeout_seconds=LIMIT_SECONDS)
    async with running_service(settings) as service, raw_connection(service.port) as wire:
        await wire.send(f"{PUT}Content-Length: 60\r\n\r\n")
        took = await send_slowly(wire, "x" * 59)
        await wire.send("x")

        assert took > 2 * LIMIT_SECONDS
        assert (await wire.answer()).status == 201
        assert (await get(service, "k")).body == b"x" * 60


async def test_2000_idle_connections_do_no_harm(redis_server: RedisServer) -> None:
    async with (
        running_service(Settings(store_url=redis_server.url)) as service,
        contextlib.AsyncExitStack() as idle,
    ):
        for _ in range(40):  # in groups that fit into the listener's backlog
            await together(
                *(idle.enter_async_context(raw_connection(service.port)) for _ in range(50))
            )

        answers = await together(*(put(service, f"k{i}", b"v") for i in range(100)))

        assert statuses(answers) == {201}
        assert max(answer.seconds for answer in answers) < PROMPT_SECONDS
