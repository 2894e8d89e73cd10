"""How connections end: the client closes its side, or the service closes one that is idle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from svc.serving.connection import LINGER_SECONDS
from svc.settings import Settings
from tests.support.answers import counter_value, get, increment, put
from tests.support.instrumented_service import logged_lines
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

#: The tests ask what is answered, not when.
PATIENT_SECONDS = 60.0
IDLE_SECONDS = 1.0
GET = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n"
INCREMENT = "POST /v1/counters/n/increments HTTP/1.1\r\nHost: t\r\n\r\n"
PUT = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_url=redis_server.url,
        store_timeout_ms=60_000,
        header_timeout_seconds=PATIENT_SECONDS,
        body_timeout_seconds=PATIENT_SECONDS,
        keepalive_seconds=IDLE_SECONDS,
    )
    async with running_service(settings) as service:
        yield service


async def test_a_client_that_closes_its_side_gets_every_answer(service: Service) -> None:
    for number in range(1, 21):
        async with raw_connection(service.port) as wire:
            await wire.send(INCREMENT, GET, INCREMENT)
            wire.end()

            answers = [await wire.answer(seconds=PATIENT_SECONDS) for _ in range(3)]

            assert [answer.status for answer in answers] == [200, 200, 200]
            assert "Connection" not in answers[0].headers
            assert answers[2].headers["Connection"] == "close"
            assert await wire.reader.read() == b""
        assert await counter_value(service, "n") == 2 * number


@pytest.mark.parametrize(
    "beginning",
    [
        "GET /v1/lim",
        "GET /v1/limits HTTP/1.1\r\nHost: t\r\n",
        "GET /v1/limits HTTP/1.1\r\nHost: t\r\n\r",
        f"{PUT}Content-Length: 5\r\n\r\n",
        f"{PUT}Content-Length: 5\r\n\r\nhell",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        f"{PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
async def test_what_ends_too_early_is_refused_and_not_applied(
    service: Service, beginning: str
) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET, beginning)
        wire.end()

        assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 200
        answer = await wire.answer(seconds=PATIENT_SECONDS)

        assert (answer.status, answer.json["applied"]) == (400, "no")
        assert await wire.reader.read() == b""
    assert (await get(service, "k")).status == 404


@pytest.mark.parametrize("beginning", ["", "\r\n", GET])
async def test_a_client_that_closes_an_idle_connection_is_not_answered(
    service: Service, beginning: str
) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(beginning)
        if beginning == GET:
            await wire.answer(seconds=PATIENT_SECONDS)
        wire.end()

        assert await wire.reader.read() == b""


async def test_the_rest_of_an_unwanted_body_may_end_early(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        with logged_lines() as lines:
            await wire.send(
                "PURGE /v1/limits HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n", "x"
            )
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 405
            wire.end()

            assert await wire.reader.read() == b""
        assert not lines.texts


async def test_an_answer_survives_what_the_client_goes_on_sending(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(f"{PUT}Connection: close\r\nContent-Length: 1\r\n\r\nx")
        for _ in range(100):
            await wire.send(b"x" * 10_000)
            await asyncio.sleep(0)

        assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 201
        wire.end()
        assert await wire.reader.read() == b""


async def test_1000_pipelined_requests_are_answered_to_a_client_that_closed_its_side(
    service: Service,
) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(INCREMENT * 1000)
        wire.end()

        for value in range(1, 1001):
            assert (await wire.answer(seconds=PATIENT_SECONDS)).json["value"] == value
        assert await wire.reader.read() == b""


async def test_large_pipelined_bodies_arrive_unchanged(service: Service) -> None:
    bodies = [random.Random(seed).randbytes(600_000) + b"\r\n\r\n" * 1000 for seed in range(3)]
    async with raw_connection(service.port) as wire:
        for number, body in enumerate(bodies):
            head = f"PUT /v1/kv/large{number} HTTP/1.1\r\nHost: t\r\n"
            if number == 1:
                chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
                await wire.send(f"{head}Transfer-Encoding: chunked\r\n\r\n", chunk)
            else:
                await wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n", body)
        await wire.send(GET)

        statuses = [(await wire.answer(seconds=PATIENT_SECONDS)).status for _ in range(4)]

    assert statuses == [201, 201, 201, 200]
    for number, body in enumerate(bodies):
        assert (await get(service, f"large{number}")).body == body


async def test_a_connection_reused_at_its_idle_timeout_is_answered(service: Service) -> None:
    offsets = random.Random(1)
    clock = asyncio.get_running_loop().time
    at_once = asyncio.Semaphore(60)

    async def reused_in_time() -> bool:
        async with at_once, raw_connection(service.port) as wire:
            asked = clock()
            await wire.send(GET)
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 200
            await asyncio.sleep(IDLE_SECONDS + offsets.uniform(-0.06, 0.06))

            # A busy machine may have held this process up for so long that it is closed rightly.
            # The service has waited since it answered: no longer than since it was asked.
            if clock() - asked > IDLE_SECONDS + LINGER_SECONDS / 2:
                return False
            await wire.send(INCREMENT)

            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 200
            return True

    async with asyncio.TaskGroup() as group:
        for _ in range(300):
            group.create_task(eventually(reused_in_time, what="a connection reused in time"))
    assert await counter_value(service, "n") == 300


async def test_an_idle_connection_is_closed_after_its_timeout(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(GET)
        await wire.answer(seconds=PATIENT_SECONDS)

        assert await wire.closed(seconds=PATIENT_SECONDS)

        # A request that crosses the close is not applied.
        await wire.send(INCREMENT)
        assert await wire.closed(seconds=PATIENT_SECONDS)
    assert (await increment(service, "n")).json["value"] == 1
    assert (await put(service, "k", b"v")).status == 201
