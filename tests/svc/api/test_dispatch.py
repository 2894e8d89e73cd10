"""The fast paths, to a handler and back to the client, compared with aiohttp's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st

from svc.api.context import IDENTITY
from svc.app import build_app
from svc.serving.dispatch import dispatcher
from svc.serving.head_starts import HeadStarts
from svc.settings import Settings
from tests.support.raw_http import exchange
from tests.support.services import Service


def build_unused_app() -> web.Application:
    app = build_app(Settings(telemetry=False), None)  # type: ignore[arg-type]
    app.freeze()
    return app


#: Frozen and never started: the tests use only its URL table.
APP = build_unused_app()
METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "BREW")
SEGMENT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]) | st.just("é"))


async def chosen(method: str, path: str) -> tuple[Any, bool]:
    """Return the match that the dispatcher set on the request, and whether it took a fast path."""
    long_way = False

    async def resolve(request: web.Request) -> web.Response:
        nonlocal long_way
        long_way = True
        match_info = await APP.router.resolve(request)
        return web.Response(text=repr((dict(match_info), match_info.route.resource)))

    async def answer(request: web.Request, handler: Any) -> web.StreamResponse:
        match_info = request.match_info
        return web.Response(text=repr((dict(match_info), match_info.route.resource)))

    app = build_app(Settings(telemetry=False), None)  # type: ignore[arg-type]
    app.middlewares[:] = [web.middleware(answer)]
    app.freeze()
    taken = await dispatcher(app, resolve)(make_mocked_request(method, path))
    assert isinstance(taken, web.Response)
    return taken.text, not long_way


@given(
    st.sampled_from(METHODS),
    st.sampled_from(("/v1/kv/", "/v1/counters/", "/v1/kv", "/", "http://h/v1/kv/", "/v1//kv/")),
    st.lists(SEGMENT, max_size=3).map("/".join),
    st.sampled_from(("", "/increments", "/", "?a=b", "#f", "/increments/")),
)
@example("GET", "/v1/kv/", "a/../b", "")
@example("GET", "/v1/kv/", "..", "")
@example("POST", "/v1/counters/", "{x}", "/increments")
@example("POST", "/v1/counters/", "a%2Fb", "/increments")
async def test_both_ways_lead_to_the_same_handler(
    method: str, before: str, middle: str, after: str
) -> None:
    with contextlib.suppress(ValueError):  # not possible in a request line
        path = before + middle + after
        plain = await APP.router.resolve(make_mocked_request(method, path))
        expected = repr((dict(plain), plain.route.resource))
        got, _ = await chosen(method, path)
        assert got == expected


@pytest.mark.parametrize(
    ("method", "path", "short"),
    [
        ("GET", "/v1/kv/key-1", True),
        ("PUT", "/v1/kv/a/b/c", True),
        ("POST", "/v1/counters/hits/increments", True),
        ("GET", "/v1/kv/a%20b", False),
        ("GET", "/v1/kv/a?x=1", False),
        ("GET", "/v1/counters/hits", False),
        ("POST", "/v1/counters/a/b/increments", False),
        ("BREW", "/v1/kv/key-1", False),
    ],
)
async def test_the_busy_paths_take_the_fast_path(method: str, path: str, *, short: bool) -> None:
    _, was_short = await chosen(method, path)
    assert was_short is short


@pytest.fixture
async def aiohttp_port(service: Service) -> AsyncIterator[int]:
    """The port of the same service behind aiohttp's own listener."""
    app = build_app(service.settings, service.store)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "head",
    [
        "GET /v1/kv/small HTTP/1.1\r\n",
        "GET /v1/kv/large HTTP/1.1\r\n",
        "GET /v1/kv/empty HTTP/1.1\r\n",
        "GET /v1/kv/empty HTTP/1.0\r\n",
        "GET /v1/kv/small HTTP/1.0\r\nConnection: keep-alive\r\n",
        "GET /v1/kv/small HTTP/1.1\r\nConnection: close\r\n",
        "GET /v1/kv/small HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
        "HEAD /v1/kv/small HTTP/1.1\r\n",
        "HEAD /v1/kv/empty HTTP/1.1\r\n",
        "HEAD /v1/kv/absent HTTP/1.1\r\n",
        "GET /v1/kv/small HTTP/1.1\r\nIf-None-Match: *\r\n",
        "HEAD /v1/kv/small HTTP/1.1\r\nIf-None-Match: *\r\n",
        "PUT /v1/kv/small HTTP/1.1\r\nContent-Length: 1\r\nPrefer: return=minimal\r\n",
        "DELETE /v1/counters/absent HTTP/1.1\r\n",
        "OPTIONS /v1/kv/small HTTP/1.1\r\n",
        "GET /v1/nothing HTTP/1.1\r\n",
    ],
)
async def test_answers_are_what_aiohttp_would_send(
    service: Service, aiohttp_port: int, head: str
) -> None:
    await service.put("/v1/kv/small", data=b"x")
    await service.put("/v1/kv/large", data=b"x" * 100_000)
    await service.put("/v1/kv/empty", data=b"")
    request = f"{head}Host: kv\r\nX-Request-Id: same\r\n\r\n" + ("x" if "PUT" in head else "")
    ours = await exchange(service.port, request, head_only="HEAD" in head)
    theirs = await exchange(aiohttp_port, request, head_only="HEAD" in head)
    assert (ours.version, ours.status) == (theirs.version, theirs.status)
    varying = {"Allow": ANY, "Date": ANY, "ETag": ANY, "KV-TTL": ANY, "Last-Modified": ANY}
    names = HeadStarts(service.app[IDENTITY]).names  # which the connection adds
    assert {**ours.headers, **{k: v for k, v in varying.items() if k in theirs.headers}} == {
        **theirs.headers,
        **names,
    }
    if ours.status < 400 or "HEAD" in head:
        assert ours.body == theirs.body
    else:
        assert {**ours.json, "trace_id": ANY} == theirs.json
