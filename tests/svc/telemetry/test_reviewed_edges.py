"""Edge cases of the telemetry that were found by a code review."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from svc.domain.model import Key
from svc.stores.measured import MeasuredStore
from svc.telemetry import logs
from svc.telemetry.logs import JsonFormatter, QueuedHandler
from svc.telemetry.metrics import Metrics
from svc.telemetry.signals import Signals
from svc.telemetry.tracing import FLUSH_SECONDS
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
from tests.support.ports import free_port
from tests.support.raw_http import exchange, raw_connection
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.services import ROOT, service_process
from tests.support.waiting import eventually, until
from tests.svc.telemetry.process_log import logged_process

NOWHERE: Final = f"redis://127.0.0.1:{free_port()}"
KEY: Final = "sesame"


@pytest.mark.parametrize("host", [b"a:b:c", b"t:99999", b"\xff", b"xn--a"])
async def test_a_host_that_is_none_gets_the_same_answer_whether_traced_or_not(
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
    told = Counter(line.get("trace_id") for line in lines.with_body("store refuses"))
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


@pytest.mark.parametrize("signals", [1, 2])
def test_a_process_whose_log_nobody_reads_still_ends(
    shared_redis: RedisServer, signals: int
) -> None:
    """With Python's default buffering; the image sets PYTHONUNBUFFERED."""
    with service_process(
        KV_STORE_URL=shared_redis.url,
        KV_ACCESS_LOG="all",
        KV_DRAIN_SECONDS="0" if signals == 1 else "30",
        PYTHONUNBUFFERED="",
    ) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        for _ in range(1000):  # several times what the pipe holds
            connection.request("GET", "/v1/limits")
            connection.getresponse().read()
        connection.close()

        service.signal(signal.SIGTERM)
        if signals == 2:
            ready = f"{service.admin_base}/readyz"
            until(lambda: fetch(ready).status == 503, what="the drain")
            service.signal(signal.SIGTERM)

        assert service.wait(10) == (0 if signals == 1 else 143)


def test_lines_that_wait_behind_a_slow_stream_are_written_at_the_end_even_if_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MAX_QUEUED", 5)
    entered, let_go = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            entered.set()
            assert let_go.wait(20)
            return super().write(text)

    stream = Slow()
    handler = QueuedHandler(stream, logging.Formatter("%(message)s"))
    say(handler, "0")
    assert entered.wait(10)
    for n in range(1, 6):
        say(handler, str(n))

    threading.Timer(0.2, let_go.set).start()
    handler.close()

    assert stream.getvalue().split() == ["0", "1", "2", "3", "4", "5"]


def say(handler: logging.Handler, message: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))


def test_a_line_with_a_lone_surrogate_is_written() -> None:
    """Invalid UTF-8 in a request becomes lone surrogates in the program."""
    record = logging.makeLogRecord({"msg": "said", "fact": "caf\udcff", "levelname": "INFO"})

    assert '"said"' in JsonFormatter({}).format(record)


def started(**environ: str) -> subprocess.CompletedProcess[str]:
    """Start a service with tracing. If it starts, stop it."""
    ports = {"KV_HOST": "127.0.0.1", "KV_PORT": "0", "KV_ADMIN_PORT": "0"}
    program = (
        "import os, signal, svc.__main__ as program\n"
        "program._log_ready = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise SystemExit(program.main(['serve']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            **os.environ,
            **ports,
            "KV_STORE_URL": NOWHERE,
            "KV_DRAIN_SECONDS": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE.replace("redis", "http"),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=20 + FLUSH_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "511", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512"},
        {"OTEL_PROPAGATORS": ""},
    ],
)
def test_what_the_specification_allows_does_not_stop_the_start(environ: dict[str, str]) -> None:
    ended = started(**environ)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_PROPAGATORS", "tracecontext,none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_PYTHON_EXCLUDED_URLS", "("),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
    ],
)
def test_what_cannot_be_honoured_stops_the_start_with_one_line(name: str, value: str) -> None:
    ended = started(**{name: value})

    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"tallykv: {name}: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_log_knows_the_name_that_the_resource_attributes_give(
    shared_redis: RedisServer,
) -> None:
    with logged_process(
        KV_STORE_URL=shared_redis.url, OTEL_RESOURCE_ATTRIBUTES="service.name=shop-kv"
    ) as service:
        service.end()

    assert {line["service.name"] for line in service.lines} == {"shop-kv"}


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
        await ask(service, "GET", "/docs/none", headers=traceparent(1))

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
        await measured.read_many([Key("k"), Key("l")])

    assert metrics.operations["read", "error"] == 3
