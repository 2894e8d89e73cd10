"""The admin port: the traffic port's deadlines and problems, few connections, its own address."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.error import URLError

import pytest

from svc.serving.listener import ADMIN_CONNECTIONS
from svc.settings import Settings
from tests.support.answers import ask_admin
from tests.support.instrumented_service import logged_lines
from tests.support.plain_http import fetch
from tests.support.raw_http import RawConnection, exchange, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service, service_process

PATIENT_SECONDS = 60.0
GET = "GET /livez HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, header_timeout_seconds=PATIENT_SECONDS)
    async with running_service(settings) as service:
        yield service


def admin_port(service: Service) -> int:
    return int(service.admin_base.rpartition(":")[2])


async def test_what_is_no_http_is_a_problem_and_leaves_no_traceback(service: Service) -> None:
    with logged_lines() as lines:
        answer = await exchange(admin_port(service), "garbage\r\n\r\n")

    assert answer.status == 400
    assert answer.json["code"] == "bad_request"
    assert answer.headers["Server"] == "tallykv"
    assert not lines.texts


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/statusz", "/version", "/metrics", "/nothing"]
)
async def test_no_answer_may_be_cached(service: Service, path: str) -> None:
    answer = await ask_admin(service, path)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["KV-Pod"] == service.settings.pod


async def test_a_head_that_does_not_end_is_closed(redis_server: RedisServer) -> None:
    settings = Settings(store_url=redis_server.url, header_timeout_seconds=0.5)
    async with (
        running_service(settings) as service,
        raw_connection(admin_port(service)) as wire,
    ):
        await wire.send("GET /livez HTTP/1.1\r\n")

        assert await wire.closed(seconds=PATIENT_SECONDS)


async def test_beyond_its_connections_the_oldest_idle_one_is_closed(
    redis_server: RedisServer,
) -> None:
    settings = Settings(store_url=redis_server.url, header_timeout_seconds=PATIENT_SECONDS)
    async with running_service(settings) as service, contextlib.AsyncExitStack() as stack:

        async def connect() -> RawConnection:
            wire = await stack.enter_async_context(raw_connection(admin_port(service)))
            await wire.send(GET)
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 200
            return wire

        wires = [await connect() for _ in range(ADMIN_CONNECTIONS + 2)]

        assert await wires[0].closed(seconds=PATIENT_SECONDS)
        assert await wires[1].closed(seconds=PATIENT_SECONDS)
        for wire in wires[2:]:
            await wire.send(GET)
            assert (await wire.answer(seconds=PATIENT_SECONDS)).status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP;q=0.1", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000, *", None),
        ("identity", None),
        ("gzip;q=0, identity", None),
        ("x-gzipped", None),
    ],
)
async def test_metrics_are_compressed_for_those_who_accept_it(
    service: Service, accepted: str, coding: str | None
) -> None:
    request = f"GET /metrics HTTP/1.1\r\nHost: t\r\nAccept-Encoding: {accepted}\r\n\r\n"

    answer = await exchange(admin_port(service), request)

    assert answer.headers.get("Content-Encoding") == coding


def test_it_has_an_address_of_its_own(redis_server: RedisServer) -> None:
    settings = {"KV_STORE_URL": redis_server.url, "KV_HOST": "127.0.0.2"}
    with service_process(**settings, KV_ADMIN_HOST="127.0.0.1") as service:
        assert fetch(f"http://127.0.0.1:{service.admin_port}/livez").status == 200
        assert fetch(f"http://127.0.0.2:{service.port}/v1/limits").status == 200
        with pytest.raises(URLError):
            fetch(f"http://127.0.0.1:{service.port}/v1/limits")
        with pytest.raises(URLError):
            fetch(f"http://127.0.0.2:{service.admin_port}/livez")
