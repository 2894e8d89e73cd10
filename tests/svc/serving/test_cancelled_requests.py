"""Requests that the shutdown ends get no answer; metrics and the log still know them."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from svc.api.context import LIFECYCLE, SIGNALS
from svc.settings import Settings
from tests.support.instrumented_service import logged_lines
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import running_service
from tests.support.waiting import eventually

UPLOAD = "PUT /v1/kv/k HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("request_text", "method", "latency_ms"),
    [
        (f"{UPLOAD}\r\nfirst", "PUT", 0),
        ("GET /v1/kv/k HTTP/1.1\r\nHost: t\r\n\r\n", "GET", 600_000),
    ],
    ids=["its body never ends", "its handler never ends"],
)
async def test_a_request_that_the_shutdown_ends_is_counted_and_logged(
    shared_redis: RedisServer, request_text: str, method: str, latency_ms: int
) -> None:
    settings = Settings(store_url=shared_redis.url, fault_latency_ms=latency_ms)
    with logged_lines() as log:
        async with AsyncExitStack() as stack:  # closed after the service, as a waiting client's is
            async with running_service(settings) as service:
                metrics = service.app[SIGNALS].metrics
                wire = await stack.enter_async_context(raw_connection(service.port))
                await wire.send(request_text)
                await eventually(lambda: service.app[LIFECYCLE].active == 1, what="the request")
            assert await wire.closed()

        counts = {labels: cell.count for labels, cell in metrics.requests.items()}

    assert counts == {(method, "/v1/kv/{key}", "503"): 1}
    (line,) = log.with_body("request")
    assert line["error.type"] == "cancelled"
    assert line["http.response.status_code"] == 503
    assert service.app[LIFECYCLE].active == 0
