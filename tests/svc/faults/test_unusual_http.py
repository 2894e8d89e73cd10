"""Rare HTTP: pipelining, HTTP/1.0, 100-continue, and other protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from svc.settings import Settings
from tests.support.answers import get, put, store_all
from tests.support.compressed_bodies import MIB
from tests.support.raw_http import RawResponse, exchange, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_timeout_ms=10_000,
        store_url=redis_server.url,
        version="1.2.3",
        track="canary",
        pod="p-1",
    )
    async with running_service(settings) as service:
        yield service


def assert_refusal(answer: RawResponse, status: int) -> None:
    """Assert that the response is a problem that names the pod."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json
    assert (problem["status"], problem["applied"]) == (status, "no")
    assert answer.headers["KV-Version"] == "1.2.3"
    assert answer.headers["KV-Track"] == "canary"
    assert answer.headers["KV-Pod"] == "p-1"
    assert answer.headers["X-Request-Id"]
    assert problem["trace_id"]


async def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    await store_all(service, {f"k{i}": b"value-%d" % i for i in range(100)})
    asked = "".join(f"GET /v1/kv/k{i} HTTP/1.1\r\nHost: t\r\n\r\n" for i in range(100))

    async with raw_connection(service.port) as wire:
        await wire.send(asked)
        for i in range(100):
            answer = await wire.answer()
            assert (answer.status, answer.body) == (200, b"value-%d" % i)


async def test_pipelined_changes_happen_in_order(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        for i in range(50):
            body = f"value-{i}"
            await wire.send(
                f"PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n{body}",
                "GET /v1/kv/k HTTP/1.1\r\nHost: t\r\n\r\n",
                "POST /v1/counters/n/increments HTTP/1.1\r\nHost: t\r\n\r\n",
            )
        for i in range(50):
            assert (await wire.answer()).status == (200 if i else 201)
            assert (await wire.answer()).body == b"value-%d" % i
            assert (await wire.answer()).json["value"] == i + 1


async def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    await put(service, "k", b"v")
    async with raw_connection(service.port) as wire:
        await wire.send("GET /v1/kv/k HTTP/1.0\r\n\r\n")

        answer = await wire.answer()

        assert (answer.status, answer.body) == (200, b"v")
        assert await wire.closed()


async def test_http_1_0_is_kept_alive_on_demand(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        for _ in range(2):
            await wire.send("GET /v1/limits HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = await wire.answer()
            assert answer.status == 200
            assert answer.headers["Connection"] == "keep-alive"


async def test_an_http_1_0_upload_is_stored(service: Service) -> None:
    answer = await exchange(service.port, "PUT /v1/kv/k HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")

    assert answer.status == 201
    assert (await get(service, "k")).body == b"hello"


EXPECT = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"


async def test_a_client_that_waits_is_told_to_go_on(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(EXPECT, "Content-Length: 5\r\n\r\n")
        assert (await wire.answer()).status == 100

        await wire.send("hello")

        assert (await wire.answer()).status == 201
    assert (await get(service, "k")).body == b"hello"


async def test_a_client_that_waits_with_too_much_is_refused(service: Service) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(EXPECT, f"Content-Length: {MIB + 1}\r\n\r\n")

        assert_refusal(await wire.answer(), 413)
        assert await wire.closed()


async def test_another_expectation_is_refused_with_a_problem(service: Service) -> None:
    assert_refusal(
        await exchange(
            service.port, "GET /v1/limits HTTP/1.1\r\nHost: t\r\nExpect: wonders\r\n\r\n"
        ),
        417,
    )


LONG = "a" * 20_000
UPLOAD = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\n"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET /v1/limits HTTP/x\r\nHost: t\r\n\r\n", 400),
        ("GET /v1/limits HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET /v1/limits HTTP/1.1\r\nHost: t\r\nX: \x01\r\n\r\n", 400),
        (f"GET /{LONG} HTTP/1.1\r\nHost: t\r\n\r\n", 414),
        (f"GET /v1/limits HTTP/1.1\r\nHost: t\r\nX: {LONG}\r\n\r\n", 431),
        (f"{UPLOAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{UPLOAD}Content-Length: 3, 5\r\n\r\nabcde", 400),
        (f"{UPLOAD}Content-Length: -1\r\n\r\n", 400),
    ],
    ids=[
        *("nonsense", "no version", "no colon", "control character", "long line", "long header"),
        *("two lengths", "list of lengths", "negative length"),
    ],
)
async def test_what_is_no_request_is_refused_with_a_problem_and_closed(
    service: Service, request_text: str, status: int
) -> None:
    async with raw_connection(service.port) as wire:
        await wire.send(request_text)

        assert_refusal(await wire.answer(), status)
        assert await wire.closed()
    assert (await get(service, "k")).status == 404


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /v1/nothing", 404),
        ("PURGE /v1/limits", 405),
        ("POST /v1/kv/k", 400),
        ("GET /v1/kv/%FF", 400),
        ("PATCH /v1/kv/k", 415),
        ("GET /" + "a" * 600, 414),
    ],
)
async def test_what_is_a_wrong_request_is_refused_in_the_same_way(
    service: Service, line: str, status: int
) -> None:
    answer = await exchange(service.port, f"{line} HTTP/1.1\r\nHost: t\r\n\r\n")

    assert_refusal(answer, status)
