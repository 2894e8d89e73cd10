"""Request metrics: by method, route template and status, and rejected requests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from svc.api.context import LIFECYCLE
from tests.support.answers import ask, ask_admin, together
from tests.support.instrumented_service import Scrape, Serve, scrape
from tests.support.raw_http import RawConnection, exchange, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.waiting import eventually

DURATION: Final = "http_server_request_duration_seconds"
GET: Final = "GET /v1/limits HTTP/1.1\r\nHost: t\r\n"
UPLOAD: Final = "PUT /v1/kv/slow HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n"

#: A request, and the labels of its count: method, route, status.
COUNTED: Final[list[tuple[str, str, dict[str, Any], tuple[str, str, str]]]] = [
    ("GET", "/v1/kv/a", {}, ("GET", "/v1/kv/{key}", "404")),
    ("GET", "/v1/kv/a/b/c", {}, ("GET", "/v1/kv/{key}", "404")),
    ("GET", "/v1/kv/a%2Fb", {}, ("GET", "/v1/kv/{key}", "404")),
    ("HEAD", "/v1/kv/a", {}, ("HEAD", "/v1/kv/{key}", "404")),
    ("PUT", "/v1/kv/new", {"data": b"v"}, ("PUT", "/v1/kv/{key}", "201")),
    ("PUT", "/v1/kv/new", {"data": b"v"}, ("PUT", "/v1/kv/{key}", "200")),
    ("PUT", "/v1/kv/new?ttl=x", {"data": b"v"}, ("PUT", "/v1/kv/{key}", "400")),
    ("PUT", "/v1/kv/new", {"headers": {"If-Match": '"x"'}}, ("PUT", "/v1/kv/{key}", "412")),
    ("PATCH", "/v1/kv/new", {"data": b"v"}, ("PATCH", "/v1/kv/{key}", "415")),
    ("DELETE", "/v1/kv/new", {}, ("DELETE", "/v1/kv/{key}", "204")),
    ("POST", "/v1/kv/list/", {"data": b"v"}, ("POST", "/v1/kv/{key}", "201")),
    ("GET", "/v1/kv?limit=1", {}, ("GET", "/v1/kv", "200")),
    ("GET", "/v1/kv/", {}, ("GET", "/v1/kv", "200")),
    ("GET", "/v1/counters/n", {}, ("GET", "/v1/counters/{name}", "404")),
    ("POST", "/v1/counters/n/increments", {}, ("POST", "/v1/counters/{name}/increments", "200")),
    ("POST", "/v1/counters/%6E/increments", {}, ("POST", "/v1/counters/{name}/increments", "200")),
    ("PUT", "/v1/counters/n", {"json": {"value": 1}}, ("PUT", "/v1/counters/{name}", "200")),
    ("GET", "/v1/limits", {}, ("GET", "/v1/limits", "200")),
    ("POST", "/v1/batch", {"data": b"no JSON"}, ("POST", "/v1/batch", "400")),
    ("GET", "/", {}, ("GET", "/", "200")),
    ("PUT", "/any/path", {"data": b"{}"}, ("PUT", "/{path}", "201")),
    ("GET", "/v1/none", {}, ("GET", "unmatched", "404")),
    ("GET", "/v1/none", {}, ("GET", "unmatched", "404")),
    ("DELETE", "/v1/limits", {}, ("DELETE", "unmatched", "405")),
    ("OPTIONS", "/v1/kv/a", {}, ("OPTIONS", "unmatched", "204")),
    ("PURGE", "/v1/kv/a", {}, ("_OTHER", "unmatched", "405")),
    ("PROPFIND", "/v1/none", {}, ("_OTHER", "unmatched", "404")),
]


def requests(shown: Scrape) -> dict[tuple[str, ...], float]:
    """Return the number of requests by method, route and status."""
    counts = shown.counts(f"{DURATION}_count")
    return {(method, route, status): n for (method, status, route), n in counts.items()}


async def test_each_request_is_counted_once_by_its_template_and_its_exact_status(
    observed: Serve,
) -> None:
    async with observed() as service:
        for method, path, options, _ in COUNTED:
            await ask(service, method, path, **options)
        shown = await scrape(service)

    expected: dict[tuple[str, ...], float] = {}
    for *_, labels in COUNTED:
        expected[labels] = expected.get(labels, 0) + 1
    assert requests(shown) == expected


async def test_a_duration_is_that_of_the_answer(observed: Serve) -> None:
    async with observed(fault_latency_ms=300) as service:
        await ask(service, "GET", "/v1/limits")
        await ask(service, "GET", "/DOCS/none")
        shown = await scrape(service)

    slow = {"http_route": "/v1/limits"}
    assert shown.value(f"{DURATION}_sum", **slow) >= 0.3
    assert shown.value(f"{DURATION}_bucket", le="0.1", **slow) == 0
    assert shown.value(f"{DURATION}_bucket", le="0.1", http_route="unmatched") == 1


@pytest.mark.parametrize("status", ["500", "503"])
async def test_failures_are_counted_with_their_status(observed: Serve, status: str) -> None:
    failing = (
        {"fault_error_ratio": 1.0} if status == "500" else {"store_url": "redis://127.0.0.1:1"}
    )
    async with observed(**failing) as service:
        await ask(service, "GET", "/v1/kv/k")
        shown = await scrape(service)

    assert requests(shown) == {("GET", "/v1/kv/{key}", status): 1}


@contextlib.asynccontextmanager
async def uploading(service: Service, uploads: int) -> AsyncIterator[list[RawConnection]]:
    """Hold this many requests open in the middle of their bodies."""
    async with contextlib.AsyncExitStack() as stack:
        wires = [
            await stack.enter_async_context(raw_connection(service.port)) for _ in range(uploads)
        ]
        for wire in wires:
            await wire.send(UPLOAD, "Content-Length: 10\r\n\r\n", "first")
        await eventually(lambda: service.app[LIFECYCLE].active == uploads, what="the uploads")
        yield wires


async def test_requests_under_way_are_shown_and_come_back_to_none(observed: Serve) -> None:
    async with observed() as service:
        async with uploading(service, 3) as wires:
            during = (await scrape(service)).value("http_server_active_requests")
            await wires[0].send("after")
            await wires[0].answer()
            later = (await scrape(service)).value("http_server_active_requests")
        # The other two were aborted by their clients.
        await eventually(lambda: service.app[LIFECYCLE].active == 0, what="the end of it")
        after = (await scrape(service)).value("http_server_active_requests")

    assert (during, later, after) == (3, 2, 0)


@contextlib.asynccontextmanager
async def writing(service: Service, writes: int, redis: RedisServer) -> AsyncIterator[None]:
    """Hold this many requests open at the store, which does not answer."""
    redis.signal(signal.SIGSTOP)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(writes):
                wire = await stack.enter_async_context(raw_connection(service.port))
                await wire.send(UPLOAD, "Content-Length: 5\r\n\r\n", "whole")
            await eventually(lambda: service.app[LIFECYCLE].in_flight == writes, what="the writes")
            yield
    finally:
        redis.signal(signal.SIGCONT)


async def test_one_too_many_is_counted_as_rejected_and_as_what_it_was_answered(
    observed: Serve, shared_redis: RedisServer
) -> None:
    patient = observed(max_in_flight=2, queue_ms=0, store_timeout_ms=60_000)
    async with patient as service, writing(service, 2, shared_redis):
        answers = await together(*(ask(service, "GET", "/v1/kv/k") for _ in range(5)))
        shown = await scrape(service)

    assert {answer.status for answer in answers} == {503}
    assert shown.counts("kv_requests_rejected_total") == {("overloaded",): 5}
    assert requests(shown)["GET", "/v1/kv/{key}", "503"] == 5
    assert shown.value("http_server_active_requests") == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"{GET}Bad Name: x\r\n\r\n", 400),
        ("MADEUP /v1/limits HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        ("GET /v1/limits HTTP/9.9\r\nHost: t\r\n\r\n", 505),
        (f"GET /{'x' * 9000} HTTP/1.1\r\nHost: t\r\n\r\n", 414),
        (f"{GET}X-Long: {'x' * 9000}\r\n\r\n", 431),
    ],
    ids=["header", "method", "version", "long target", "long header"],
)
async def test_what_is_no_http_is_counted_as_malformed_and_as_no_request(
    observed: Serve, sent: str, status: int
) -> None:
    async with observed() as service:
        answer = await exchange(service.port, sent)
        shown = await scrape(service)

    assert answer.status == status
    assert shown.counts("kv_requests_rejected_total") == {("malformed",): 1}
    assert requests(shown) == {}


async def test_a_head_that_does_not_end_is_counted_once_for_its_connection(
    observed: Serve,
) -> None:
    async with observed(header_timeout_seconds=1.0) as service:
        async with raw_connection(service.port) as one, raw_connection(service.port) as another:
            await one.send(GET)
            await another.send("G")
            assert await one.closed()
            assert await another.closed()
        shown = await scrape(service)

    assert shown.counts("kv_requests_rejected_total") == {("header_timeout",): 2}


async def test_an_idle_connection_that_was_used_is_no_overdue_head(observed: Serve) -> None:
    async with (
        observed(header_timeout_seconds=1.0) as service,
        raw_connection(service.port) as used,
    ):
        await used.send(f"{GET}\r\n")
        await used.answer()
        async with raw_connection(service.port) as unfinished:
            await unfinished.send(GET)
            assert await unfinished.closed()
        shown = await scrape(service)
        await used.send(f"{GET}\r\n")
        assert (await used.answer()).status == 200

    assert shown.counts("kv_requests_rejected_total") == {("header_timeout",): 1}


async def test_the_lifecycle_is_shown(observed: Serve) -> None:
    async with observed() as service:
        seen = []
        for ready, draining in ((False, False), (True, False), (True, True)):
            service.app[LIFECYCLE].ready = ready
            service.app[LIFECYCLE].draining = draining
            shown = await scrape(service)
            seen.append((shown.value("kv_ready"), shown.value("kv_draining")))

    assert seen == [(0, 0), (1, 0), (1, 1)]


async def test_the_admin_ports_requests_are_not_counted(observed: Serve) -> None:
    async with observed() as service:
        for path in ("/livez", "/readyz", "/statusz", "/metrics", "/nothing"):
            await ask_admin(service, path)
        shown = await scrape(service)

    assert requests(shown) == {}
    assert shown.value("http_server_active_requests") == 0


async def test_two_services_in_a_process_count_apart(observed: Serve) -> None:
    async with observed() as one, observed() as another:
        await asyncio.gather(*(ask(one, "GET", "/v1/limits") for _ in range(3)))
        await ask(another, "GET", "/v1/limits")

        assert requests(await scrape(one)) == {("GET", "/v1/limits", "200"): 3}
        assert requests(await scrape(another)) == {("GET", "/v1/limits", "200"): 1}


async def test_with_telemetry_off_requests_are_served_and_not_counted(observed: Serve) -> None:
    async with observed(telemetry=False) as service:
        await ask(service, "PUT", "/v1/kv/off", data=b"v")
        answer = await ask(service, "GET", "/v1/kv/off")
        shown = await scrape(service)

    assert (answer.status, answer.body) == (200, b"v")
    assert requests(shown) == {}
    assert shown.counts("kv_operations_total") == {}
