"""Edge cases of the telemetry that were found by a code review."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from svc.domain.model import Key
from svc.stores.measured import MeasuredStore
from svc.telemetry.metrics import Metrics
from svc.telemetry.signals import Signals
from tests.conftest import need_redis_6, need_redis_7
from tests.support.answers import ask, increment, put, together, warm
from tests.support.instrumented_service import (
    UNSAMPLED,
    Serve,
    logged_lines,
    scrape,
    trace_id,
    traceparent,
)
from tests.support.otlp import Collector
from tests.support.plain_http import fetch
from tests.support.ports import closed_port, free_port
from tests.support.raw_http import exchange, raw_connection
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.waiting import eventually
from tests.svc.telemetry.process_log import logged_process

NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"
KEY: Final = "sesame"


@pytest.mark.parametrize("host", [b"t:99999", b"xn--a"])
async def test_a_host_that_can_not_be_reached_gets_the_same_answer_whether_traced_or_not(
    traced: Serve, collector: Collector, host: bytes
) -> None:
    async with traced() as service:
        head = b"GET /v1/kv/none HTTP/1.1\r\nHost: " + host + b"\r\n"
        untraced = await exchange(service.port, head, "\r\n")
        sampled = f"traceparent: {traceparent(1)['traceparent']}\r\n\r\n"
        answer = await exchange(service.port, head, sampled)
        shown = await scrape(service)

    assert (untraced.status, answer.status) == (404, 404)
    assert shown.counts("kv_requests_rejected_total") == {}
    assert collector.trace_ids == {trace_id(1)}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=latest",
        'application/openmetrics-text; version="1.0.0"',
        "text/plain; version=1.x",
    ],
)
async def test_a_scraper_that_asks_for_an_unknown_version_gets_a_supported_one(
    observed: Serve, accept: str
) -> None:
    async with (
        observed() as service,
        service.client.get(f"{service.admin_base}/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.status == 200
        assert b"kv_build_info" in await answer.read()


async def test_an_error_of_one_request_is_not_logged_with_the_trace_of_an_earlier_one(
    observed: Serve, redis_server: RedisServer
) -> None:
    """A batch started when the one before has ended must not run in that one's context."""
    async with observed(store_url=redis_server.url) as service:
        await put(service, "k", b"v")
        with contextlib.closing(redis_server.client()) as client:
            client.replicaof("127.0.0.1", str(free_port()))
        with logged_lines() as lines:
            answers = await together(
                *(
                    ask(
                        service,
                        "PUT",
                        f"/v1/kv/k{number}",
                        data=b"v",
                        headers=traceparent(number, UNSAMPLED),
                    )
                    for number in range(1, 21)
                )
            )

    assert {answer.status for answer in answers} == {503}
    told = Counter(line.get("trace_id") for line in lines.with_body("store fails"))
    told.pop(None, None)
    assert set(told.values()) <= {1}


async def test_what_redis_says_of_a_command_is_not_logged_with_the_commands_words(
    observed: Serve, redis_binary: str, tmp_path: Path
) -> None:
    """If a command is forbidden, Redis repeats it in the error, with the key and the value."""
    forbidden = ("--rename-command", "MGET", "", "--rename-command", "EVALSHA", "")
    with running_redis(redis_binary, tmp_path / "redis", *forbidden) as server:
        async with observed(store_url=server.url) as service:
            with logged_lines() as lines:
                await ask(service, "GET", f"/v1/kv/{KEY}")
                await put(service, KEY, b"rosebud")

    assert "store answered with an unexpected error" in {line["body"] for line in lines.read}
    assert KEY not in "".join(lines.texts)


@pytest.mark.parametrize("release", ["6.2", "7"])
@pytest.mark.parametrize("code", ["READONLY", "OOM"])
@pytest.mark.parametrize("kind", ["step", "write", "recorded write"])
async def test_a_refusal_within_a_script_is_an_error_of_its_round_trip(
    observed: Serve, tmp_path: Path, release: str, code: str, kind: str
) -> None:
    binary = need_redis_6() if release == "6.2" else need_redis_7()
    with running_redis(binary, tmp_path / "redis") as server:
        async with observed(store_url=server.url) as service:
            await change(service, kind, "1")
            before = await scrape(service)
            with contextlib.closing(server.client()) as client:
                if code == "READONLY":
                    client.replicaof("127.0.0.1", str(free_port()))
                else:
                    client.config_set("maxmemory", 1)
            answer = await change(service, kind, "2")
            shown = await scrape(service)

    assert answer.status in {503, 507}
    name = "db_client_operation_duration_seconds_count"
    added = {
        labels: n - before.counts(name).get(labels, 0) for labels, n in shown.counts(name).items()
    }
    assert {labels for labels, n in added.items() if n} == {("EVALSHA", code)}


async def change(service: Any, kind: str, once: str) -> Any:
    if kind == "step":
        return await increment(service, "n")
    if kind == "write":
        return await put(service, "k", b"v")
    headers = {"Idempotency-Key": once}
    return await ask(service, "PUT", "/v1/kv/k", data=b"v", headers=headers)


async def test_a_round_trip_is_linked_to_no_request_that_is_excluded(
    traced: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "^/v1/kv/health")
    async with traced(traces_per_second=0) as service:
        await warm(service, 60)
        await together(
            *(
                ask(
                    service,
                    "GET",
                    f"/v1/kv/health{number}" if number % 2 else f"/v1/kv/other{number}",
                    headers=traceparent(number),
                )
                for number in range(1, 61)
            )
        )

    ids = {span.span_id for span in collector.spans}
    trips = [span for span in collector.spans if span.name == "redis round trip"]
    assert trips
    assert {link.span_id for trip in trips for link in trip.links} <= ids
    assert {trip.parent_id for trip in trips} <= ids


async def test_when_redis_is_down_the_spans_of_a_batch_are_errors_too(
    traced: Serve, collector: Collector
) -> None:
    operations = [
        {"op": "get", "key": "a"},
        {"op": "put", "key": "b", "value": 1},
        {"op": "add", "counter": "c"},
    ]
    async with traced(store_url=NOWHERE) as service:
        await ask(
            service, "POST", "/v1/batch", json={"operations": operations}, headers=traceparent(1)
        )

    spans = [span for span in collector.spans if span.kind == "CLIENT"]
    assert len(spans) == 3
    assert [(span.status, span.attributes.get("error.type")) for span in spans] == [
        ("ERROR", "store_unavailable")
    ] * 3


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure_of_the_service(
    observed: Serve,
) -> None:
    """It would burn the error budget, and roll a rollout back."""
    with logged_lines() as lines:
        async with observed(access_log="all") as service:
            async with raw_connection(service.port) as wire:
                await wire.send("PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf")
                await eventually(lambda: active(service), what="the upload")
            await eventually(lambda: lines.with_body("request"), what="its line")
            shown = await scrape(service)

    counted = shown.counts("http_server_request_duration_seconds_count")
    assert [status for _, status, _ in counted if status.startswith("5")] == []
    assert {line["severity_text"] for line in lines.read} == {"INFO"}


async def active(service: Any) -> bool:
    return (await scrape(service)).value("http_server_active_requests") == 1


def test_an_expectation_that_is_refused_is_seen_in_the_metrics(shared_redis: RedisServer) -> None:
    with logged_process(KV_STORE_URL=shared_redis.url, KV_ACCESS_LOG="all") as service:
        answer = fetch(f"{service.base}/v1/kv/k", "PUT", b"v", Expect="miracles")
        said = fetch(f"{service.admin_base}/metrics").body.decode()
        service.end()

    assert answer.status == 417
    seen = [
        line
        for line in said.splitlines()
        if line.startswith(("http_server_request_duration_seconds_count", "kv_requests_rejected"))
        and not line.endswith(" 0.0")
    ]
    assert len(seen) == 1


@pytest.mark.parametrize("convention", ["http/dup", "", "database"])
def test_without_keys_none_is_shown_under_an_older_conventions_name(
    shared_redis: RedisServer, collector: Collector, convention: str
) -> None:
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        KV_TRACE_KEYS="off",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_SEMCONV_STABILITY_OPT_IN=convention,
    ) as service:
        sent = traceparent(1)["traceparent"]
        fetch(f"{service.base}/v1/kv/{KEY}?ttl={KEY}", traceparent=sent)
        assert service.end() == 0

    assert collector.trace_ids == {trace_id(1)}
    assert KEY not in repr(collector.spans)


async def test_a_span_of_an_unknown_route_has_no_route(traced: Serve, collector: Collector) -> None:
    async with traced() as service:
        await ask(service, "GET", "/v1/none", headers=traceparent(1))

    (server,) = collector.spans
    assert "http.route" not in server.attributes


async def test_an_operation_that_fails_by_a_bug_is_counted_as_an_error() -> None:
    class Broken:
        def __getattr__(self, _: str) -> Any:
            async def fail(*_: Any) -> Any:
                raise RuntimeError("a defect")

            return fail

    metrics, store = Metrics(""), Broken()
    broken: Any = store
    measured = MeasuredStore(broken, Signals(metrics, slow_seconds=1, log_all=False))

    with pytest.raises(RuntimeError):
        await measured.read(Key("k"))
    with pytest.raises(RuntimeError):
        await measured.read_many([Key("k"), Key("l")], 1000)

    assert metrics.operations["read", "error"] == 3
