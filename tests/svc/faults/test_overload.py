"""More concurrent requests than the process is allowed to serve, of which none may wait."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator

import pytest

from svc.api.context import LIFECYCLE
from svc.settings import Settings
from tests.support.answers import ask, ask_admin, assert_problem, get, put, statuses, together
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

CAP = 2
#: The store's timeout, longer than a test.
PATIENT_MS = 60_000
UPLOAD = "PUT /v1/kv/slow HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n"


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(
        store_url=redis_server.url,
        store_timeout_ms=PATIENT_MS,
        max_in_flight=CAP,
        queue_ms=0,
        version="1.2.3",
        track="canary",
        pod="p-1",
    )
    async with running_service(settings) as service:
        yield service


@contextlib.asynccontextmanager
async def full(service: Service, redis_server: RedisServer) -> AsyncIterator[list[RawConnection]]:
    """Hold as many requests open as the process serves, until the end: Redis does not answer."""
    redis_server.signal(signal.SIGSTOP)
    try:
        async with contextlib.AsyncExitStack() as stack:
            wires = [
                await stack.enter_async_context(raw_connection(service.port)) for _ in range(CAP)
            ]
            for wire in wires:
                await wire.send(UPLOAD, "Content-Length: 10\r\n\r\n", "firstafter")
            await eventually(lambda: service.app[LIFECYCLE].in_flight == CAP, what="the writes")
            yield wires
    finally:
        redis_server.signal(signal.SIGCONT)


async def _in_flight(service: Service, expected: int) -> bool:
    return bool((await ask_admin(service, "/statusz")).json["in_flight"] == expected)


async def test_one_more_is_refused_at_once_by_name_and_with_a_time_to_come_again(
    service: Service, redis_server: RedisServer
) -> None:
    async with full(service, redis_server) as wires:
        answers = [
            await get(service, "k"),
            await put(service, "k", b"v"),
            await ask(service, "GET", "/"),
            await ask(service, "GET", "/v1/nothing"),
        ]

        for answer in answers:
            assert_problem(answer, 503, "overloaded")
            assert answer.seconds < PATIENT_MS / 2000
            assert answer.headers["KV-Version"] == "1.2.3"
            assert answer.headers["KV-Track"] == "canary"
            assert answer.headers["KV-Pod"] == "p-1"
            assert answer.headers["X-Request-Id"]
        redis_server.signal(signal.SIGCONT)
        for wire in wires:
            assert (await wire.answer()).status in {200, 201}
    assert (await get(service, "k")).status == 404
    assert (await get(service, "slow")).body == b"firstafter"


async def test_the_admin_port_is_never_refused(service: Service, redis_server: RedisServer) -> None:
    async with full(service, redis_server):
        for path in ("/livez", "/statusz", "/metrics", "/version"):
            assert (await ask_admin(service, path)).status == 200


async def test_a_refused_upload_need_not_be_read(
    service: Service, redis_server: RedisServer
) -> None:
    async with full(service, redis_server), raw_connection(service.port) as wire:
        await wire.send(UPLOAD, "Content-Length: 1000000\r\n\r\n", "begun")

        assert (await wire.answer()).status == 503


async def test_clients_that_disconnect_free_their_places(
    service: Service, redis_server: RedisServer
) -> None:
    async with full(service, redis_server):
        pass

    await eventually(lambda: _in_flight(service, 0), what="the places")
    assert (await get(service, "k")).status == 404


async def test_of_a_flood_each_is_served_or_refused_and_the_refused_change_nothing(
    service: Service,
) -> None:
    answers = await together(
        *(ask(service, "POST", "/v1/counters/n/increments") for _ in range(100))
    )

    assert statuses(answers) <= {200, 503}
    served = sum(answer.status == 200 for answer in answers)
    value = (await ask(service, "GET", "/v1/counters/n")).json["value"]
    assert value == served
