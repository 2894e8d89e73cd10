"""A span for each store operation: its attributes, and its error."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.support.answers import ask, put
from tests.support.instrumented_service import Serve, traceparent
from tests.support.otlp import Collector
from tests.support.ports import closed_port
from tests.support.redis_servers import RedisServer
from tests.support.spans import Span

NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
COUNTER: Final = "/v1/counters/spans"
ENTRY: Final = "/v1/kv/spans"

#: A request, and the command and operation of each of its store spans.
Case = tuple[str, str, dict[str, Any], list[tuple[str, str]]]
REQUESTS: Final[list[Case]] = [
    ("GET", ENTRY, {}, [("MGET", "read")]),
    ("PUT", ENTRY, {"data": b"{}"}, [("EVALSHA", "write")]),
    ("PUT", f"{ENTRY}?ttl=keep", {"data": b"{}"}, [("EVALSHA", "write")]),
    ("PATCH", ENTRY, {"data": b"{}", "headers": MERGE}, [("MGET", "read"), ("EVALSHA", "swap")]),
    ("DELETE", ENTRY, {}, [("EVALSHA", "delete")]),
    ("GET", "/v1/kv", {}, [("SCAN", "list_entries")]),
    ("GET", COUNTER, {}, [("GET", "read_counter")]),
    ("POST", f"{COUNTER}/increments", {}, [("EVALSHA", "add")]),
    ("POST", f"{COUNTER}/increments", {"json": {"max": 9}}, [("EVALSHA", "add")]),
    ("PUT", COUNTER, {"json": {"value": 1}}, [("EVALSHA", "set_counter")]),
    ("DELETE", COUNTER, {}, [("EVALSHA", "delete_counter")]),
    ("GET", "/v1/counters", {}, [("SCAN", "list_counters")]),
    ("GET", "/", {}, [("EVALSHA", "add")]),
    (
        "POST",
        "/v1/batch",
        {
            "json": {
                "operations": [
                    {"op": "get", "key": "spans"},
                    {"op": "put", "key": "spans/2", "value": 1},
                    {"op": "add", "counter": "spans"},
                ]
            }
        },
        [("EVALSHA", "add"), ("EVALSHA", "write"), ("MGET", "read")],
    ),
    ("GET", "/v1/limits", {}, []),
    ("PUT", f"{ENTRY}?ttl=no", {"data": b"{}"}, []),
]

ONE_OPERATION: Final = [case for case in REQUESTS if len(case[3]) == 1]


def names_of(cases: list[Case]) -> list[str]:
    return [f"{method} {path} {'-'.join(options)}" for method, path, options, _ in cases]


def of_the_store(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if span.kind == "CLIENT"]


def named(spans: list[Span]) -> list[tuple[str, str]]:
    return sorted((span.name, span.attributes["kv.operation"]) for span in spans)


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"), REQUESTS, ids=names_of(REQUESTS)
)
async def test_a_request_has_a_span_for_each_operation_below_its_own(
    traced: Serve,
    collector: Collector,
    method: str,
    path: str,
    options: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    async with traced() as service:
        await put(service, "spans", b"{}")
        headers = {**traceparent(1), **options.get("headers", {})}
        await ask(service, method, path, **{**options, "headers": headers})

    assert named(of_the_store(collector)) == sorted(expected)
    (server,) = [span for span in collector.spans if span.kind == "SERVER"]
    for span in of_the_store(collector):
        assert (span.trace_id, span.parent_id) == (server.trace_id, server.span_id)
        assert server.start_ns <= span.start_ns <= span.end_ns <= server.end_ns


async def test_it_says_where_the_operation_went_and_how_many_went_along(
    traced: Serve, collector: Collector, shared_redis: RedisServer
) -> None:
    async with traced(store_url=f"redis://127.0.0.1:{shared_redis.port}/3") as service:
        await ask(service, "GET", ENTRY, headers=traceparent(1))

    (span,) = of_the_store(collector)
    assert span.attributes == {
        "db.system.name": "redis",
        "db.namespace": "3",
        "db.operation.name": "MGET",
        "server.address": "127.0.0.1",
        "server.port": shared_redis.port,
        "kv.operation": "read",
        "kv.lane": "read",
    }


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [(method, path, options) for method, path, options, _ in ONE_OPERATION],
    ids=names_of(ONE_OPERATION),
)
async def test_when_redis_is_down_the_operation_is_an_error_by_name(
    traced: Serve, collector: Collector, method: str, path: str, options: dict[str, Any]
) -> None:
    async with traced(store_url=NOWHERE) as service:
        headers = {**traceparent(1), **options.get("headers", {})}
        answer = await ask(service, method, path, **{**options, "headers": headers})

    assert answer.status == 503
    (span,) = of_the_store(collector)
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "store_unavailable")
    # The reason may contain data of a client, so it is not in the span.
    assert (span.status_message, span.events) == ("", ())
    (server,) = [span for span in collector.spans if span.kind == "SERVER"]
    assert server.status == "ERROR"


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/kv/nothing", {}, 404),
        ("DELETE", "/v1/kv/nothing", {}, 404),
        ("GET", "/v1/counters/nothing", {}, 404),
        ("PUT", "/v1/kv/spans", {"headers": {"If-Match": '"no"'}}, 412),
        ("POST", "/v1/counters/bound/increments", {"json": {"by": 5, "max": 4}}, 409),
        ("GET", "/v1/kv?cursor=nonsense", {}, 400),
    ],
)
async def test_a_client_error_is_not_a_span_error(
    traced: Serve,
    collector: Collector,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
) -> None:
    async with traced() as service:
        headers = {**traceparent(1), **options.get("headers", {})}
        answer = await ask(service, method, path, **{**options, "headers": headers})

    assert answer.status == status
    assert [(span.status, span.attributes.get("error.type")) for span in collector.spans] == [
        ("UNSET", None)
    ] * len(collector.spans)
    assert len(of_the_store(collector)) == 1
