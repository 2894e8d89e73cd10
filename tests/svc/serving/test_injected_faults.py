"""Deliberate faults, which simulate a bad release."""

from __future__ import annotations

import contextlib
import signal
import time

from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import service_process

#: More than a busy machine takes for a request without it.
LATENCY_MS = 10_000


def test_every_request_below_v1_fails_and_nothing_else_and_the_log_says_so(
    redis_server: RedisServer,
) -> None:
    with service_process(
        KV_STORE_URL=redis_server.url, KV_FAULT_ERROR_RATIO="1", KV_DRAIN_SECONDS="0"
    ) as service:
        failed = [
            fetch(f"{service.base}/v1/kv/k"),
            fetch(f"{service.base}/v1/kv/k", "PUT", b"v"),
            fetch(f"{service.base}/v1/counters/n/increments", "POST"),
        ]
        hit = fetch(f"{service.base}/")
        plain = fetch(f"{service.base}/k", "PUT", b"{}")
        probes = [fetch(f"{service.admin_base}{path}") for path in ("/livez", "/readyz")]
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        said = service.output()

    for answer in failed:
        assert answer.status == 500
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json["code"], answer.json["applied"]) == ("injected_fault", "no")
        assert "KV-Version" in answer.headers
    assert (hit.status, hit.body) == (200, b"Count is 1.")
    assert plain.status == 201
    assert {probe.status for probe in probes} == {200}
    assert "deliberate faults are on" in said
    # Requests that failed deliberately changed nothing. The hits and the plain entry are stored.
    with contextlib.closing(redis_server.client()) as client:
        assert client.dbsize() == 2


def test_without_them_the_log_says_nothing_of_faults(redis_server: RedisServer) -> None:
    with service_process(KV_STORE_URL=redis_server.url, KV_DRAIN_SECONDS="0") as service:
        assert fetch(f"{service.base}/v1/kv/k").status == 404
        service.signal(signal.SIGTERM)
        assert service.wait() == 0

        assert "fault" not in service.output()


def test_latency_is_added_below_v1_only(redis_server: RedisServer) -> None:
    with service_process(
        KV_STORE_URL=redis_server.url, KV_FAULT_LATENCY_MS=str(LATENCY_MS)
    ) as service:
        started = time.monotonic()
        assert fetch(f"{service.base}/v1/kv/k").status == 404
        delayed = time.monotonic() - started
        started = time.monotonic()
        assert fetch(f"{service.base}/").status == 200
        prompt = time.monotonic() - started

    assert delayed >= LATENCY_MS / 1000 > prompt
