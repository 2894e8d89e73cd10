"""Which requests get an access line, and its fields."""

from __future__ import annotations

import contextlib
import re
from types import SimpleNamespace
from typing import Any, Final

import pytest

from svc.telemetry import token_bucket
from svc.telemetry.requests import MISTAKES_PER_SECOND, NOTABLE_PER_SECOND
from tests.support.answers import Answer, ask, put, together
from tests.support.instrumented_service import (
    UNSAMPLED,
    Serve,
    logged_lines,
    scrape,
    trace_id,
    traceparent,
)
from tests.support.otlp import Collector
from tests.support.ports import closed_port, free_port
from tests.support.raw_http import exchange
from tests.support.redis_servers import RedisServer

NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"
ID: Final = re.compile(r"[0-9a-f]{32}")
#: The fields of every access line.
FIELDS: Final = {
    *("timestamp", "severity_text", "body", "logger", "request_id"),
    *("http.request.method", "http.route", "http.response.status_code"),
    *("duration_ms", "redis_ms", "trace_id", "trace_flags"),
    *("client.address", "user_agent.original"),
    *("http.request.body.size", "http.response.body.size"),
}


async def test_a_line_says_what_was_asked_what_came_of_it_and_how_long_it_took(
    observed: Serve,
) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            await put(service, "known", b"v")
            headers = {**traceparent(7, UNSAMPLED), "User-Agent": "probe/1"}
            await ask(service, "GET", "/v1/kv/known", headers=headers)

    line = lines.with_body("request")[-1]
    duration, redis = line.pop("duration_ms"), line.pop("redis_ms")
    assert 0 < redis < duration < 60_000
    assert ID.fullmatch(line.pop("request_id"))
    line.pop("timestamp")
    assert line == {
        "severity_text": "INFO",
        "body": "request",
        "logger": "svc.access",
        "http.request.method": "GET",
        "http.route": "/v1/kv/{key}",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 1,
        "client.address": "127.0.0.1",
        "user_agent.original": "probe/1",
        "kv.result": "hit",
        "trace_id": trace_id(7),
        "trace_flags": "00",
    }


@pytest.mark.parametrize(
    ("method", "path", "options", "more"),
    [
        ("GET", "/v1/kv/none", {}, {"kv.result": "miss", "error.type": "key_missing"}),
        ("GET", "/v1/limits", {}, {}),
        ("PUT", "/v1/kv/k?ttl=x", {"data": b""}, {"error.type": "query_invalid"}),
        (
            "PUT",
            "/v1/kv/k",
            {"headers": {"If-Match": '"x"'}},
            {"kv.result": "conflict", "error.type": "precondition_failed"},
        ),
        (
            "GET",
            "/v1/no/route",
            {},
            {"http.route": "unmatched", "error.type": "route_missing"},
        ),
        (
            "PURGE",
            "/v1/kv/k",
            {},
            {
                "http.request.method": "_OTHER",
                "http.route": "unmatched",
                "error.type": "method_not_allowed",
            },
        ),
    ],
)
async def test_each_request_gets_a_line_if_all_are_asked_for(
    observed: Serve, method: str, path: str, options: dict[str, Any], more: dict[str, str]
) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            answer = await ask(service, method, path, **options)

    (line,) = lines.with_body("request")
    assert set(line) == FIELDS | {name for name in more if not name.startswith("http")}
    assert {name: line[name] for name in more} == more
    assert line["http.response.status_code"] == answer.status
    assert line["request_id"] == answer.headers["X-Request-Id"]


async def test_what_went_well_and_fast_and_unsampled_gets_no_line(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(slow_ms=60_000) as service:
            await put(service, "quiet", b"v")
            for path in ("/v1/kv/quiet", "/v1/kv/none", "/v1/none", "/"):
                await ask(service, "GET", path, headers=traceparent(1, UNSAMPLED))

    assert lines.texts == []


async def test_what_failed_gets_a_warning_that_names_the_failure(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(store_url=NOWHERE) as service:
            failed = await ask(service, "GET", "/v1/kv/k")
            await ask(service, "GET", "/v1/kv/other")
            await ask(service, "GET", "/v1/none")

    first, second = lines.with_body("request")
    assert first["severity_text"] == second["severity_text"] == "WARNING"
    assert (first["http.response.status_code"], first["error.type"]) == (503, "store_unavailable")
    assert first["kv.result"] == "error"
    assert first["trace_id"] == failed.json["trace_id"] == first["request_id"]


async def test_on_a_terminal_each_mistake_of_a_caller_gets_a_line_that_names_it(
    observed: Serve,
) -> None:
    with logged_lines() as lines:
        async with observed(slow_ms=60_000, log_format="text") as service:
            for path in ("/v1/kv/none", "/v1/limits", "/v1/none", "/v1/kv?limit=x"):
                await ask(service, "GET", path)
            await exchange(service.port, "GET /v1/kv/k HTTP/1.1\r\nHost : t\r\n\r\n")

    told = [line for line in lines.read if line["logger"] == "svc.access"]
    assert [(line["http.response.status_code"], line["error.type"]) for line in told] == [
        (404, "key_missing"),
        (404, "route_missing"),
        (400, "query_invalid"),
        (400, "bad_request"),
    ]
    assert {line["severity_text"] for line in told} == {"INFO"}


@pytest.mark.usefixtures("_no_time_passes")
async def test_of_many_mistakes_some_are_shown_and_no_failure_is_lost_for_them(
    observed: Serve,
) -> None:
    with logged_lines() as lines:
        async with observed(log_format="text", store_url=NOWHERE) as service:
            await together(*(ask(service, "GET", "/v1/none") for _ in range(50)))
            await ask(service, "GET", "/v1/kv/k")

    statuses = [line["http.response.status_code"] for line in lines.with_body("request")]
    assert statuses == [404] * round(MISTAKES_PER_SECOND) + [503]


async def test_what_was_slow_gets_a_line(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(slow_ms=2000, fault_latency_ms=2500) as service:
            await ask(service, "GET", "/v1/limits")
            await ask(service, "GET", "/docs/none")

    (line,) = lines.with_body("request")
    assert line["duration_ms"] >= 2500
    assert (line["severity_text"], line["http.route"]) == ("INFO", "/v1/limits")


async def test_what_was_sampled_gets_a_line_that_leads_to_its_span(
    traced: Serve, collector: Collector
) -> None:
    with logged_lines() as lines:
        async with traced(slow_ms=60_000) as service:
            await ask(service, "GET", "/v1/kv/none", headers=traceparent(1))
            await ask(service, "GET", "/v1/kv/none", headers=traceparent(2, UNSAMPLED))

    (line,) = lines.with_body("request")
    (server,) = [span for span in collector.spans if span.kind == "SERVER"]
    assert (line["trace_id"], line["trace_flags"]) == (trace_id(1), "01")
    assert line["span_id"] == server.span_id


@pytest.fixture
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of the token buckets."""
    monkeypatch.setattr(token_bucket, "time", SimpleNamespace(monotonic=lambda: 1000.0))


@pytest.mark.usefixtures("_no_time_passes")
async def test_capped_requests_are_logged_as_unsampled(traced: Serve) -> None:
    with logged_lines() as lines:
        async with traced(traces_per_second=2, access_log="all") as service:
            for number in range(1, 6):
                await ask(service, "GET", "/v1/limits", headers=traceparent(number))

    told = lines.with_body("request")
    assert [line["trace_flags"] for line in told] == ["01", "01", "00", "00", "00"]
    assert [line["trace_id"] for line in told] == [trace_id(number) for number in range(1, 6)]


async def test_the_clients_request_id_is_the_lines(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            for sent in ("my-request", "no good", "x" * 129):
                headers = {"X-Request-Id": sent}
                answer = await ask(service, "GET", "/v1/limits", headers=headers)
                line = lines.with_body("request")[-1]
                assert line["request_id"] == answer.headers["X-Request-Id"]
                assert (line["request_id"] == sent) is (sent == "my-request")
                assert ID.fullmatch(line["trace_id"])


async def test_every_line_of_every_kind_of_request_has_its_trace(observed: Serve) -> None:
    answers: list[Answer] = []
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            for path in ("/v1/kv/k", "/v1/none", "/", "/v1/counters/..", "/v1/kv?limit=x"):
                answers += [await ask(service, "GET", path), await ask(service, "PUT", path)]

    told = lines.with_body("request")
    assert len(told) == len(answers)
    for line, answer in zip(told, answers, strict=True):
        assert ID.fullmatch(line["trace_id"])
        assert line["trace_flags"] == "00"
        if answer.status >= 400:
            assert answer.json["trace_id"] == line["trace_id"]


async def test_a_line_from_within_a_request_has_its_trace_too(
    observed: Serve, redis_server: RedisServer
) -> None:
    with logged_lines() as lines:
        async with observed(store_url=redis_server.url) as service:
            await put(service, "k", b"v")
            with contextlib.closing(redis_server.client()) as client:
                client.replicaof("127.0.0.1", str(free_port()))
            refused = await ask(
                service,
                "PUT",
                "/v1/kv/k",
                data=b"v",
                headers={**traceparent(9, UNSAMPLED), "Idempotency-Key": "once"},
            )

    assert refused.status == 503
    assert [line["body"] for line in lines.read] == ["store fails", "request"]
    assert {line["trace_id"] for line in lines.read} == {trace_id(9)}


@pytest.mark.usefixtures("_no_time_passes")
@pytest.mark.parametrize(("access_log", "told"), [("notable", NOTABLE_PER_SECOND), ("all", 400)])
async def test_of_many_failures_some_are_logged_and_the_rest_counted(
    observed: Serve, access_log: str, told: int
) -> None:
    requests = 400
    with logged_lines() as lines:
        async with observed(fault_error_ratio=1.0, access_log=access_log) as service:
            await together(*(ask(service, "GET", "/v1/limits") for _ in range(requests)))
            shown = await scrape(service)

    assert len(lines.with_body("request")) == told
    dropped = shown.value("kv_log_records_dropped_total", reason="rate_limited")
    assert dropped == requests - told


async def test_a_request_refused_as_overloaded_gets_a_line(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(
            max_in_flight=1, queue_ms=0, fault_latency_ms=2000, slow_ms=60_000
        ) as service:
            answers = await together(*(ask(service, "GET", "/v1/limits") for _ in range(5)))

    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    told = {line["trace_id"]: line for line in lines.with_body("request")}
    assert set(told) == {answer.json["trace_id"] for answer in refused}
    assert {line["error.type"] for line in told.values()} == {"overloaded"}


async def test_without_telemetry_there_are_no_lines_and_still_ids(observed: Serve) -> None:
    with logged_lines() as lines:
        async with observed(telemetry=False, access_log="all", store_url=NOWHERE) as service:
            answer = await exchange(service.port, "GET /v1/kv/k HTTP/1.1\r\nHost: t\r\n\r\n")

    assert lines.with_body("request") == []
    assert answer.status == 503
    assert ID.fullmatch(answer.json["trace_id"])
