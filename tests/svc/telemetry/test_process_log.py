"""The log of a process: its format, no data of clients, its last lines, a blocked stderr."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import pytest
import redis

from svc.serving.server import DRAINING
from tests.support.instrumented_service import OPENMETRICS, Scrape, trace_id, traceparent
from tests.support.otlp import Collector
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, ServiceProcess, service_process
from tests.support.waiting import PATIENT_SECONDS
from tests.svc.telemetry.process_log import logged_process

KEY: Final = "sesame"
#: Redis is stopped again if a busy machine took so long that nothing was sent to it.
MOST_STOPS: Final = 5
VALUE: Final = "rosebud"
PASSWORD: Final = "swordfish"  # noqa: S105 - of a Redis of the test's own
REQUIRED: Final = {
    *("timestamp", "severity_text", "body", "logger"),
    *("service.name", "service.version", "service.instance.id", "track"),
}


def test_every_line_is_an_object_with_the_resource(shared_redis: RedisServer) -> None:
    with logged_process(
        KV_STORE_URL=shared_redis.url,
        KV_ACCESS_LOG="all",
        KV_VERSION="1.2.3",
        KV_TRACK="canary",
        KV_POD="kv-7",
    ) as service:
        fetch(f"{service.base}/v1/limits")
        assert service.end() == 0

    assert [line["body"] for line in service.lines] == [
        "serving",
        "request",
        DRAINING,
    ]
    for line in service.lines:
        assert set(line) >= REQUIRED
        assert line["service.name"] == "tallykv"
        assert line["service.version"] == "1.2.3"
        assert line["service.instance.id"] == "kv-7"
        assert line["track"] == "canary"
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert service.lines[0]["port"] == service.port


def test_the_text_format_is_plain_text(shared_redis: RedisServer) -> None:
    with logged_process(
        KV_STORE_URL=shared_redis.url, KV_ACCESS_LOG="all", KV_LOG_FORMAT="text"
    ) as service:
        fetch(f"{service.base}/v1/limits", X_Request_Id="it's-mine")
        assert service.end() == 0

    said = service.output()
    assert f"serves http://127.0.0.1:{service.port}" in said
    (line,) = [line for line in said.splitlines() if " request " in line]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO svc.access: request ", line)
    assert "http.route='/v1/limits'" in line
    assert "http.response.status_code=200" in line
    assert 'request_id="it\'s-mine"' in line


@pytest.mark.parametrize(("log_format", "for_people"), [("auto", True), ("json", False)])
def test_on_a_terminal_it_is_for_people_unless_told_otherwise(
    shared_redis: RedisServer, log_format: str, for_people: bool
) -> None:
    said = terminal_output(
        KV_STORE_URL=shared_redis.url, KV_DRAIN_SECONDS="0", KV_LOG_FORMAT=log_format
    )

    assert ("try:" in said) is for_people
    assert ("error.type='route_missing'" in said) is for_people
    assert any(line.startswith("{") for line in said.splitlines()) is not for_people


def terminal_output(**environ: str) -> str:
    """Run the service on a terminal, and ask it for what it does not have. Return its output."""
    ours, theirs = os.openpty()
    ports = {"KV_HOST": "127.0.0.1", "KV_PORT": "0", "KV_ADMIN_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "svc", "serve"],
        cwd=ROOT,
        env={**os.environ, **ports, **environ},
        stdin=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said, stopped = b"", False
    try:
        with contextlib.suppress(OSError):  # the end of a terminal's output
            while chunk := os.read(ours, 65536):
                said += chunk
                ready = re.search(rb'"port":(\d+),|(\d+)/v1/counters/visits/increments', said)
                if ready and not stopped:
                    port = int(ready[1] or ready[2])
                    assert fetch(f"http://127.0.0.1:{port}/v1/none").status == 404
                    process.send_signal(signal.SIGTERM)
                    stopped = True
        assert process.wait(PATIENT_SECONDS) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)
    return said.decode()


@contextlib.contextmanager
def password_protected(server: RedisServer) -> Iterator[tuple[str, redis.Redis]]:
    """Set a Redis password. Yield a URL with it, and an authenticated client."""
    with contextlib.closing(server.client()) as client:
        client.config_set("requirepass", PASSWORD)
        yield f"redis://default:{PASSWORD}@127.0.0.1:{server.port}", client


def ask_for_everything(service: ServiceProcess, number: int) -> list[int]:
    """Send requests of every kind with the key and the value. Return the statuses."""
    body = f'{{"{VALUE}":"{VALUE}"}}'.encode()
    operations = [
        {"op": "put", "key": KEY, "value": VALUE},
        {"op": "get", "key": KEY},
        {"op": "add", "counter": KEY, "idempotency_key": f"{VALUE}{number}"},
    ]
    base, sent = service.base, traceparent(number)["traceparent"]
    json_type, merge = "application/json", "application/merge-patch+json"
    entry, counter = f"{base}/v1/kv/{KEY}", f"{base}/v1/counters/{KEY}"
    recorded = {"Idempotency_Key": VALUE, "Content_Type": json_type}
    return [
        answer.status
        for answer in (
            fetch(entry, "PUT", body, traceparent=sent, Content_Type=json_type),
            fetch(entry, "PUT", body, traceparent=sent, **recorded),
            fetch(entry, "PUT", b"[" + body + b"]", traceparent=sent, **recorded),
            fetch(entry, traceparent=sent, Authorization=VALUE, Cookie=VALUE),
            fetch(entry, "PATCH", body, traceparent=sent, Content_Type=merge),
            fetch(f"{base}/v1/kv?prefix={KEY}", traceparent=sent),
            fetch(f"{base}/{KEY}", "PUT", body, traceparent=sent),
            fetch(f"{base}/v1/no/{KEY}", traceparent=sent),
            fetch(f"{counter}/increments", "POST", b"{}", traceparent=sent),
            fetch(f"{counter}/increments", "POST", body, traceparent=sent),
            fetch(f"{base}/v1/counters/wrong-{KEY}", traceparent=sent),
            fetch(
                f"{base}/v1/batch",
                "POST",
                json.dumps({"operations": operations}).encode(),
                traceparent=sent,
            ),
            fetch(entry, "DELETE", traceparent=sent),
        )
    ]


def test_no_line_has_a_key_a_value_or_a_password_with_or_without_errors(
    redis_server: RedisServer, collector: Collector
) -> None:
    statuses: set[int] = set()
    with (
        password_protected(redis_server) as (url, client),
        logged_process(
            KV_STORE_URL=url,
            KV_ACCESS_LOG="all",
            # Each request to the stopped Redis takes as long. A running one answers within it.
            KV_STORE_TIMEOUT_MS="600",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        ) as service,
    ):
        for number in range(1, 6):
            statuses |= set(ask_for_everything(service, number))
        overwrite(client)
        statuses |= set(ask_for_everything(service, 10))
        client.config_set("maxmemory", 1)
        statuses |= set(ask_for_everything(service, 11))
        client.config_set("maxmemory", 0)
        stops = 0
        while 504 not in statuses and stops < MOST_STOPS:
            stops += 1
            # A connection that was not used for a while is checked first, and nothing is sent.
            statuses |= set(ask_for_everything(service, 20 + stops))
            redis_server.signal(signal.SIGSTOP)
            statuses |= set(ask_for_everything(service, 40 + stops))
            redis_server.signal(signal.SIGCONT)
        redis_server.stop()
        statuses |= set(ask_for_everything(service, 60))
        assert service.end() == 0

    assert statuses >= {200, 201, 400, 404, 422, 500, 503, 504, 507}
    assert {line["severity_text"] for line in service.lines} >= {"INFO", "WARNING"}
    assert len(service.with_body("request")) == 13 * (8 + 2 * stops)
    said = service.output().lower()
    for secret in (KEY, VALUE, PASSWORD):
        assert secret not in said


def overwrite(client: redis.Redis) -> None:
    """Overwrite entries and counters in Redis with other data."""
    keys: Any = client.keys("*")
    assert keys
    for key in keys:
        client.delete(key)
        client.hset(key, "field", VALUE)


def test_what_was_logged_last_is_there_at_the_end(shared_redis: RedisServer) -> None:
    requests = 500
    with logged_process(KV_STORE_URL=shared_redis.url, KV_ACCESS_LOG="all") as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        for number in range(1, requests + 1):
            connection.request("GET", "/v1/limits", headers=traceparent(number))
            connection.getresponse().read()
        connection.close()
        assert service.end() == 0

    told = [line["trace_id"] for line in service.with_body("request")]
    assert told == [trace_id(number) for number in range(1, requests + 1)]
    assert service.lines[-1]["body"].startswith("draining")


def test_a_blocked_stderr_blocks_no_request_and_dropped_lines_are_counted(
    shared_redis: RedisServer,
) -> None:
    """The pipe holds 64 KiB and the queue 10,000 lines. Further lines are dropped."""
    requests = 13_000
    with service_process(KV_STORE_URL=shared_redis.url, KV_ACCESS_LOG="all") as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        for _ in range(requests):
            connection.request("GET", "/v1/limits")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()

        def shown() -> Scrape:
            return Scrape(fetch(f"{service.admin_base}/metrics", Accept=OPENMETRICS).body.decode())

        dropped = shown().value("kv_log_records_dropped_total", reason="queue_full")
        assert 0 < dropped < requests - 10_000

        # Once stderr is read again, new lines are written.
        assert service.process is not None
        assert service.process.stderr is not None
        received = b""
        while received.count(b'"body":"request"') < requests - dropped:
            received += os.read(service.process.stderr.fileno(), 65536)
        lines = [json.loads(line) for line in received.splitlines()]
        assert {line["body"] for line in lines} == {"serving", "request"}
        assert fetch(f"{service.base}/v1/limits").status == 200
        assert shown().value("kv_log_records_dropped_total", reason="queue_full") == dropped
