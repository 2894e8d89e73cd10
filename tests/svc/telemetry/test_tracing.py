"""Server spans at the collector: with their callers' parents, complete, without orphans."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor

from svc.telemetry.trace import TRACE
from tests.support.answers import ask, get, put
from tests.support.instrumented_service import (
    SAMPLED,
    UNSAMPLED,
    Serve,
    parent_id,
    trace_id,
    traceparent,
)
from tests.support.otlp import Collector
from tests.support.raw_http import exchange
from tests.support.services import Service
from tests.support.spans import Span

PATCH = {"Content-Type": "application/merge-patch+json"}


def servers(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if span.kind == "SERVER"]


def the_server(collector: Collector) -> Span:
    (span,) = servers(collector)
    return span


async def test_a_request_joins_its_callers_trace(traced: Serve, collector: Collector) -> None:
    async with traced() as service:
        await ask(service, "GET", "/v1/kv/joined", headers=traceparent(7))

    server = the_server(collector)
    assert (server.trace_id, server.parent_id) == (trace_id(7), parent_id(7))
    assert server.name == "GET /v1/kv/{key}"
    assert {span.trace_id for span in collector.spans} == {trace_id(7)}
    (store,) = [span for span in collector.spans if span.name == "MGET"]
    assert (store.parent_id, store.kind) == (server.span_id, "CLIENT")
    assert len(collector.spans) == 2


async def test_a_request_without_a_caller_is_the_root_of_the_trace_in_its_response(
    traced: Serve, collector: Collector
) -> None:
    async with traced(ratio=1.0) as service:
        answer = await get(service, "none")

    server = the_server(collector)
    assert server.parent_id == ""
    assert server.trace_id == answer.json["trace_id"] == answer.headers["X-Request-Id"]


async def test_a_server_span_says_what_the_conventions_ask(
    traced: Serve, collector: Collector
) -> None:
    async with traced() as service:
        headers = {**traceparent(1), "User-Agent": "probe/1"}
        await ask(service, "GET", "/a/b%20c?x=1", headers=headers)
        port = service.port

    server = the_server(collector)
    assert server.status == "UNSET"
    assert server.events == ()
    assert server.attributes == {
        "http.request.method": "GET",
        "http.route": "/{path}",
        "http.response.status_code": 404,
        "url.path": "/a/b c",
        "url.query": "x=1",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.protocol.version": "1.1",
        "user_agent.original": "probe/1",
        "kv.result": "miss",
    }


@pytest.mark.parametrize(
    ("method", "path", "options", "name", "result"),
    [
        ("PUT", "/v1/kv/r", {"data": b"v"}, "PUT /v1/kv/{key}", "ok"),
        ("PUT", "/v1/kv/r", {"headers": {"If-Match": '"x"'}}, "PUT /v1/kv/{key}", "conflict"),
        ("DELETE", "/v1/kv/gone", {}, "DELETE /v1/kv/{key}", "miss"),
        ("GET", "/v1/kv", {}, "GET /v1/kv", "ok"),
        ("POST", "/v1/counters/c/increments", {}, "POST /v1/counters/{name}/increments", "ok"),
        ("GET", "/some/path", {}, "GET /{path}", "miss"),
        ("HEAD", "/v1/kv/gone", {}, "HEAD /v1/kv/{key}", "miss"),
        ("GET", "/v1/limits", {}, "GET /v1/limits", None),
        ("PUT", "/v1/kv/r?ttl=x", {"data": b"v"}, "PUT /v1/kv/{key}", None),
    ],
)
async def test_a_server_span_is_named_by_its_route_and_says_what_came_of_it(
    traced: Serve,
    collector: Collector,
    method: str,
    path: str,
    options: dict[str, object],
    name: str,
    result: str | None,
) -> None:
    async with traced() as service:
        given_headers = options.pop("headers", {})
        assert isinstance(given_headers, dict)
        await ask(service, method, path, headers={**traceparent(1), **given_headers}, **options)

    server = the_server(collector)
    assert server.name == name
    assert server.attributes.get("kv.result") == result


async def test_a_failure_of_the_service_is_an_error_and_a_callers_mistake_is_none(
    traced: Serve, collector: Collector
) -> None:
    async with traced(fault_error_ratio=1.0) as service:
        await ask(service, "GET", "/v1/kv/k", headers=traceparent(1))
        await ask(service, "GET", "/docs/none", headers=traceparent(2))

    failed, mistaken = sorted(servers(collector), key=lambda span: span.trace_id)
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "injected_fault")
    assert mistaken.status == "UNSET"
    assert "error.type" not in mistaken.attributes


async def mixed_requests(service: Service, number: int, flags: str | None) -> None:
    """Send requests of every kind, with the traceparent of one caller or none."""
    headers = {} if flags is None else traceparent(number, flags)
    await ask(service, "PUT", f"/v1/kv/mix{number % 5}", data=b"{}", headers=headers)
    operations = [
        {"op": "get", "key": "mix1"},
        {"op": "put", "key": f"mix{number}", "value": 1},
        {"op": "add", "counter": "mix"},
        {"op": "delete", "key": "nothing"},
    ]
    await asyncio.gather(
        ask(service, "GET", f"/v1/kv/mix{number % 5}", headers=headers),
        ask(service, "POST", "/v1/counters/mix/increments", headers=headers),
        ask(service, "POST", "/v1/batch", json={"operations": operations}, headers=headers),
        ask(service, "PATCH", "/v1/kv/mix1", data=b"{}", headers={**headers, **PATCH}),
        ask(service, "GET", "/v1/kv?limit=3", headers=headers),
        ask(service, "GET", "/v1/no/such/route", headers=headers),
    )


async def test_mixed_traffic_leaves_no_orphan_and_nothing_of_the_unsampled(
    traced: Serve, collector: Collector
) -> None:
    flags = [SAMPLED, UNSAMPLED, "02", "03", None] * 12
    random.Random(1).shuffle(flags)
    async with traced(ratio=0.5, traces_per_second=0) as service:
        await asyncio.gather(
            *(mixed_requests(service, number, each) for number, each in enumerate(flags, 1))
        )

    spans = collector.spans
    assert len(spans) > 300
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    called = {
        trace_id(number): parent_id(number)
        for number, each in enumerate(flags, 1)
        if each in {SAMPLED, "03"}
    }
    for span in spans:
        if span.kind == "SERVER":
            assert span.parent_id == called.get(span.trace_id, ""), span
        else:
            assert by_id[span.parent_id].trace_id == span.trace_id, span
    roots = [span for span in servers(collector) if span.parent_id == ""]
    # Half of the requests without a caller's decision, at random.
    assert 20 < len(roots) < 64
    assert {span.trace_id for span in spans} == set(called) | {root.trace_id for root in roots}
    assert len(servers(collector)) - len(roots) == len(called) * 7


async def test_the_context_of_a_request_ends_with_it_on_a_connection_that_stays(
    traced: Serve, collector: Collector
) -> None:
    async with traced() as service:
        answers = [
            await ask(service, "GET", "/v1/kv/none", headers=headers)
            for headers in (traceparent(1), {}, traceparent(2, UNSAMPLED), {}, traceparent(3))
        ]
        connections = service.client.connector._conns  # type: ignore[union-attr]
        assert [len(each) for each in connections.values()] == [1]
        assert TRACE.get().trace_id == ""

    told = [answer.json["trace_id"] for answer in answers]
    assert (told[0], told[2], told[4]) == (trace_id(1), trace_id(2), trace_id(3))
    assert len(set(told)) == 5
    assert {span.trace_id for span in collector.spans} == {trace_id(1), trace_id(3)}


async def test_an_excluded_path_leaves_no_span_and_no_child(
    traced: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "^/v1/kv/health")
    async with traced() as service:
        await put(service, "health", b"v")
        excluded = await ask(service, "GET", "/v1/kv/health", headers=traceparent(1))
        await ask(service, "GET", "/v1/kv/other", headers=traceparent(2))

    assert excluded.status == 200
    assert {span.trace_id for span in collector.spans} == {trace_id(2)}
    assert len(collector.spans) == 2


async def test_the_instrumentation_leaves_nothing_behind_in_aiohttp(
    traced: Serve, collector: Collector
) -> None:
    before = web.Application
    async with traced() as service:
        assert web.Application is before
        assert type(service.app) is before
        assert len(service.app.middlewares) == 2
        assert not AioHttpServerInstrumentor().is_instrumented_by_opentelemetry
        assert list(web.Application().middlewares) == []


async def test_each_of_two_services_in_a_process_sends_its_own_spans(
    traced: Serve, collector: Collector
) -> None:
    async with traced(pod="first") as one, traced(pod="second") as two:
        await ask(one, "GET", "/v1/kv/none", headers=traceparent(1))
        await ask(two, "GET", "/v1/kv/none", headers=traceparent(2))

    pods = {span.trace_id: span.resource["service.instance.id"] for span in collector.spans}
    assert pods == {trace_id(1): "first", trace_id(2): "second"}


async def test_the_admin_port_is_never_traced(traced: Serve, collector: Collector) -> None:
    async with traced(ratio=1.0) as service:
        for path in ("/livez", "/readyz", "/statusz", "/version", "/metrics", "/none"):
            url = service.admin_base + path
            async with service.client.get(url, headers=traceparent(1)) as answer:
                await answer.read()

    assert collector.spans == []


TARGETS = st.one_of(
    st.sampled_from(
        ("/", "*", "//", "//[x", "/%", "/%00", "/v1/kv/%2F", "/v1/kv//", "/?", "/v1/kv/k?ttl=")
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(
        "/v1/kv/{}".format
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map("/{}".format),
)


async def test_tracing_changes_no_response(traced: Serve, collector: Collector) -> None:
    loop = asyncio.get_running_loop()
    async with traced(traces_per_second=0) as service:

        async def statuses(head: str) -> list[int]:
            sampled = f"{head}traceparent: {traceparent(1)['traceparent']}\r\n\r\n"
            return [
                (await exchange(service.port, each, head_only=True)).status
                for each in (sampled, f"{head}\r\n")
            ]

        @settings(max_examples=150)
        @given(method=st.sampled_from(("GET", "HEAD", "OPTIONS", "PURGE")), target=TARGETS)
        def asked(method: str, target: str) -> None:
            head = f"{method} {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
            traced, untraced = asyncio.run_coroutine_threadsafe(statuses(head), loop).result(20)
            assert traced == untraced

        await asyncio.to_thread(asked)
