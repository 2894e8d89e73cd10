"""Spans reach the collector: all of them if it answers, and shutdown is bounded if not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import pytest

from svc.telemetry.tracing import FLUSH_SECONDS
from tests.support.instrumented_service import OPENMETRICS, Scrape, parent_id, trace_id, traceparent
from tests.support.otlp import Behaviour, Collector
from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer
from tests.support.waiting import eventually, until
from tests.svc.telemetry.process_log import LoggedService, logged_process

#: Long enough for what is done meanwhile on a busy machine.
DRAIN_SECONDS: Final = 12.0
SHUTDOWN_SECONDS: Final = 30.0
RATE: Final = 200
#: Time for a busy machine.
SLACK_SECONDS: Final = 20.0


@asynccontextmanager
async def running(
    server: RedisServer, collector: str, **environ: str
) -> AsyncIterator[LoggedService]:
    """Run a service without blocking this event loop at start and stop."""
    settings = {
        "KV_STORE_URL": server.url,
        "KV_DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
        "KV_SHUTDOWN_SECONDS": f"{SHUTDOWN_SECONDS:g}",
        "KV_TRACES_PER_SECOND": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
    }
    opened = logged_process(**{**settings, **environ})
    service = await asyncio.to_thread(opened.__enter__)
    try:
        yield service
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)


def shown(service: LoggedService) -> Scrape:
    return Scrape(fetch(f"{service.admin_base}/metrics", Accept=OPENMETRICS).body.decode())


@dataclass
class Client:
    """Sends at a constant rate, as a proxy would, and only to a ready pod."""

    service: LoggedService
    sampled: set[int] = field(default_factory=set)
    failures: list[object] = field(default_factory=list)
    answered: int = 0
    number: int = 0

    async def send_until_not_ready(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._send_all(session, group))

    async def _send_all(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while await self._ready(session):
            # All requests that are due until the next readiness check.
            for _ in range(RATE // 10):
                group.create_task(self._send(session))
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        async with session.get(f"{self.service.admin_base}/readyz") as answer:
            return answer.status == 200

    async def _send(self, session: aiohttp.ClientSession) -> None:
        self.number += 1
        number = self.number
        headers = traceparent(number, "01" if number % 2 else "00")
        base = self.service.base
        try:
            if number % 3:
                asked = session.get(f"{base}/v1/kv/k{number % 10}", headers=headers)
            else:
                asked = session.post(f"{base}/v1/counters/c/increments", headers=headers)
            async with asked as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(error)
            return
        self.answered += 1
        if answer.status not in {200, 404}:
            self.failures.append(answer.status)
        elif number % 2:
            self.sampled.add(number)


async def test_on_sigterm_under_load_no_request_fails_and_no_span_is_lost(
    redis_server: RedisServer, collector: Collector
) -> None:
    async with running(redis_server, collector.endpoint) as service:
        client = Client(service)
        sending = asyncio.create_task(client.send_until_not_ready())
        await eventually(lambda: client.answered > 2 * RATE, what="some load")
        ending = asyncio.create_task(asyncio.to_thread(service.end))
        signalled = time.monotonic()
        await sending
        code = await ending
        took = time.monotonic() - signalled

    assert client.failures == []
    assert client.answered == client.number > 2 * RATE
    assert code == 0
    assert took < DRAIN_SECONDS + SHUTDOWN_SECONDS + FLUSH_SECONDS + SLACK_SECONDS
    servers = {span.trace_id: span for span in collector.spans if span.kind == "SERVER"}
    assert set(servers) == {trace_id(number) for number in client.sampled}
    for number in client.sampled:
        assert servers[trace_id(number)].parent_id == parent_id(number)
    by_id = {span.span_id for span in collector.spans}
    assert {span.parent_id for span in collector.spans if span.kind != "SERVER"} <= by_id
    assert [line for line in service.lines if line["severity_text"] != "INFO"] == []


async def test_a_request_that_ends_after_the_drain_is_delivered_too(
    redis_server: RedisServer, collector: Collector
) -> None:
    slow = {"KV_FAULT_LATENCY_MS": "10000", "KV_DRAIN_SECONDS": "0"}
    async with (
        running(redis_server, collector.endpoint, **slow) as service,
        aiohttp.ClientSession() as session,
    ):
        url = f"{service.base}/v1/limits"

        async def ask() -> int:
            async with session.get(url, headers=traceparent(1)) as answer:
                return answer.status

        asked = asyncio.create_task(ask())
        await eventually(lambda: asyncio.to_thread(under_way, service), what="the request")
        code = await asyncio.to_thread(service.end)

        assert await asked == 200

    assert code == 0
    assert collector.trace_ids == {trace_id(1)}


def under_way(service: LoggedService) -> bool:
    return shown(service).value("http_server_active_requests") == 1


def sampled_requests(service: LoggedService, requests: int) -> None:
    for number in range(1, requests + 1):
        fetch(f"{service.base}/v1/limits", traceparent=traceparent(number)["traceparent"])


@pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.REFUSE, None])
def test_a_collector_that_takes_nothing_does_not_keep_the_process(
    shared_redis: RedisServer, collector: Collector, behaviour: Behaviour | None
) -> None:
    endpoint = collector.endpoint
    if behaviour is None:
        endpoint = f"http://127.0.0.1:{free_port()}"
    else:
        collector.behave(behaviour)
    with logged_process(
        KV_STORE_URL=shared_redis.url, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint
    ) as service:
        sampled_requests(service, 5)
        signalled = time.monotonic()
        code = service.end()
        took = time.monotonic() - signalled

    assert code == 0
    assert took < FLUSH_SECONDS + SLACK_SECONDS
    (lost,) = service.with_body("the collector did not take the last spans")
    assert lost["spans"] == 5
    collector.behave(Behaviour.ANSWER)
    assert collector.spans == []


def test_a_collector_that_comes_back_gets_what_waited_for_it(
    shared_redis: RedisServer, collector: Collector
) -> None:
    collector.behave(Behaviour.REFUSE)
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="50",
    ) as service:
        sampled_requests(service, 5)
        until(lambda: collector.uploads, what="the first try")
        collector.behave(Behaviour.ANSWER)
        until(lambda: len(collector.spans) == 5, what="the next try")
        counted = until(lambda: exported(service) == 5, what="the count")
        assert service.end() == 0

    assert counted
    assert collector.trace_ids == {trace_id(number) for number in range(1, 6)}


def exported(service: LoggedService) -> float:
    return shown(service).value("kv_spans_exported_total")


def test_what_the_queue_has_no_room_for_is_counted_and_the_rest_delivered(
    shared_redis: RedisServer, collector: Collector
) -> None:
    room, requests = 600, 700
    collector.behave(Behaviour.HANG)
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        KV_TRACES_PER_SECOND="0",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_EXPORTER_OTLP_TIMEOUT="300",
        OTEL_BSP_MAX_QUEUE_SIZE=str(room),
    ) as service:
        sampled_requests(service, requests)
        dropped = requests - room
        until(lambda: dropped_lines(service) == dropped, what="the count of those left out")
        collector.behave(Behaviour.ANSWER)
        until(lambda: exported(service) >= 512, what="what was queued")
        assert service.end() == 0

    assert collector.trace_ids == {trace_id(number) for number in range(1, room + 1)}


def dropped_lines(service: LoggedService) -> float:
    return shown(service).value("kv_spans_dropped_total", reason="queue_full")


def test_requests_are_served_while_the_collector_hangs(
    shared_redis: RedisServer, collector: Collector
) -> None:
    collector.behave(Behaviour.HANG)
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        KV_TRACES_PER_SECOND="0",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="20",
        OTEL_EXPORTER_OTLP_TIMEOUT="300",
        OTEL_BSP_MAX_QUEUE_SIZE="512",
    ) as service:
        sampled_requests(service, 20)
        until(lambda: collector.uploads, what="an upload that hangs")

        for number in range(100, 800):
            sent = traceparent(number)["traceparent"]
            assert fetch(f"{service.base}/v1/limits", traceparent=sent).status == 200

        until(lambda: dropped_lines(service) == 720 - 512, what="the count of those left out")


def test_a_batch_that_the_collector_refuses_for_good_is_counted(
    shared_redis: RedisServer, collector: Collector
) -> None:
    """404 is not retried, unlike 503."""
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/elsewhere",
        OTEL_BSP_SCHEDULE_DELAY="20",
    ) as service:
        sampled_requests(service, 3)
        until(lambda: collector.uploads, what="a try")
        until(
            lambda: shown(service).value("kv_spans_dropped_total", reason="export_failed") == 3,
            what="the count",
        )
        assert service.end() == 0

    assert {upload.status for upload in collector.uploads} == {404}
    assert service.with_body("the collector did not take the last spans") == []
