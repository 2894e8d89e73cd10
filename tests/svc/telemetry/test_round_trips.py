"""A round trip that several sampled requests share has a span, with links to all of them."""

from __future__ import annotations

from collections import Counter

import pytest

from svc.api.context import SIGNALS
from tests.support.answers import ask, together, warm
from tests.support.instrumented_service import SAMPLED, UNSAMPLED, Serve, trace_id, traceparent
from tests.support.otlp import Collector
from tests.support.services import Service
from tests.support.spans import Span

TRIP = "redis round trip"
COMMANDS = {"read": "MGET", "write": "EVALSHA", "add": "EVALSHA"}
REQUESTS = 60


async def request_for(service: Service, batcher: str, number: int, flags: str) -> int:
    headers = traceparent(number, flags)
    if batcher == "read":
        answer = await ask(service, "GET", f"/v1/kv/trip{number % 7}", headers=headers)
    elif batcher == "write":
        path = f"/v1/kv/trip{number % 7}"
        answer = await ask(service, "PUT", path, data=b"v", headers=headers)
    else:
        answer = await ask(service, "POST", "/v1/counters/trip/increments", headers=headers)
    return answer.status


def round_trips(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if span.name == TRIP]


def operations(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if span.kind == "CLIENT"]


@pytest.mark.parametrize("batcher", COMMANDS)
async def test_requests_at_once_share_round_trips_and_each_is_linked_to_its_own(
    traced: Serve, collector: Collector, batcher: str
) -> None:
    async with traced(traces_per_second=0) as service:
        await warm(service, REQUESTS)
        await together(*(request_for(service, batcher, n, SAMPLED) for n in range(1, REQUESTS + 1)))

    assert len(operations(collector)) == REQUESTS
    shared = round_trips(collector)
    assert shared
    by_id = {span.span_id: span for span in operations(collector)}
    for trip in shared:
        linked = [by_id[link.span_id] for link in trip.links]
        assert len(linked) >= 2
        assert len({span.trace_id for span in linked}) == len(linked)
        assert [link.trace_id for link in trip.links] == [span.trace_id for span in linked]
        # A span has one parent: the first of the operations.
        assert (trip.parent_id, trip.trace_id) == (linked[0].span_id, linked[0].trace_id)
        assert trip.attributes["db.system.name"] == "redis"
        assert trip.attributes["db.operation.batch.size"] == len(linked)
        assert trip.attributes["kv.lane"] == batcher
        for span in linked:
            assert span.name == COMMANDS[batcher]
            assert span.attributes["db.operation.batch.size"] == len(linked)
            assert span.attributes["kv.lane"] == batcher
            assert span.start_ns <= trip.start_ns <= trip.end_ns <= span.end_ns
    # No operation is in two links, and those without a link had a round trip of their own.
    linked_to = Counter(link.span_id for trip in shared for link in trip.links)
    assert set(linked_to.values()) == {1}
    alone = [span for span in operations(collector) if span.span_id not in linked_to]
    assert not any("db.operation.batch.size" in span.attributes for span in alone)


async def test_unsampled_operations_count_in_a_round_trip_and_have_no_link(
    traced: Serve, collector: Collector
) -> None:
    flags = [SAMPLED if n % 3 == 0 else UNSAMPLED for n in range(REQUESTS)]
    async with traced(traces_per_second=0) as service:
        await warm(service, REQUESTS)
        await together(*(request_for(service, "read", n, each) for n, each in enumerate(flags, 1)))

    sampled = {trace_id(n) for n, each in enumerate(flags, 1) if each == SAMPLED}
    assert collector.trace_ids == sampled
    assert {link.trace_id for trip in round_trips(collector) for link in trip.links} <= sampled
    for trip in round_trips(collector):
        assert trip.attributes["db.operation.batch.size"] >= len(trip.links)
    largest = max(span.attributes["db.operation.batch.size"] for span in operations(collector))
    assert largest > len(sampled) / 2


async def test_a_request_that_shares_no_round_trip_has_no_span_for_it(
    traced: Serve, collector: Collector
) -> None:
    async with traced() as service:
        for number, batcher in enumerate(COMMANDS, 1):
            await request_for(service, batcher, number, SAMPLED)

    assert round_trips(collector) == []
    assert [span.attributes["kv.lane"] for span in operations(collector)] == list(COMMANDS)
    assert not any("db.operation.batch.size" in span.attributes for span in operations(collector))


@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1"])
async def test_nothing_is_remembered_of_requests_that_are_answered(
    traced: Serve, collector: Collector, url: str | None
) -> None:
    options = {} if url is None else {"store_url": url}
    async with traced(**options) as service:
        meter = service.app[SIGNALS].store_meter
        for batcher in COMMANDS:
            await together(*(request_for(service, batcher, n, SAMPLED) for n in range(1, 20)))

        assert meter.waiting == {}

    assert operations(collector)
