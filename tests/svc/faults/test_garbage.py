"""Refused requests leave no reference cycles, which would keep bodies until a collection."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import signal
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from svc.api.context import LIFECYCLE
from svc.settings import Settings
from tests.support.answers import ask
from tests.support.raw_http import raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

MIB = 1 << 20
LARGE = bytes(MIB)
PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
FALSE = {"If-Match": '"x"'}
REPEATS = 3

Options = dict[str, Any]


def batch(*operations: Options) -> Options:
    return {"data": json.dumps({"operations": operations})}


#: Status, method, path, and options of requests that are refused.
REFUSED: list[tuple[int, str, str, Options]] = [
    (404, "GET", "/v1/kv/none", {}),
    (412, "GET", "/v1/kv/k", {"headers": FALSE}),
    (412, "PUT", "/v1/kv/k", {"data": LARGE, "headers": FALSE}),
    (412, "PUT", "/v1/kv/k", {"data": LARGE, "headers": {"If-None-Match": "*"}}),
    (412, "PUT", "/v1/kv/k", {"data": LARGE, "headers": {**FALSE, "Idempotency-Key": "a"}}),
    (422, "PUT", "/v1/kv/k", {"data": b"v2" + LARGE[2:], "headers": {"Idempotency-Key": "used"}}),
    (400, "PUT", "/v1/kv/k", {"data": b"[NaN" + LARGE[4:], "headers": JSON}),
    (400, "PUT", "/v1/kv/k?ttl=0", {"data": LARGE}),
    (400, "PUT", "/v1/kv/k//k", {"data": LARGE}),
    (413, "PUT", "/v1/kv/k", {"data": LARGE + b"y"}),
    (415, "PUT", "/v1/kv/k", {"data": LARGE, "headers": {"Content-Encoding": "br"}}),
    (400, "PUT", "/v1/kv/k", {"data": LARGE, "headers": {"Content-Encoding": "gzip"}}),
    (404, "DELETE", "/v1/kv/none", {}),
    (412, "DELETE", "/v1/kv/k", {"headers": FALSE}),
    (409, "PATCH", "/v1/kv/k", {"data": "{}", "headers": PATCH}),
    (404, "PATCH", "/v1/kv/none", {"data": "{}", "headers": PATCH}),
    (404, "PATCH", "/v1/kv/none", {"data": "{}", "headers": {**PATCH, "Idempotency-Key": "b"}}),
    (412, "PATCH", "/v1/kv/j", {"data": "{}", "headers": {**PATCH, **FALSE}}),
    (415, "PATCH", "/v1/kv/j", {"data": "{}"}),
    (400, "POST", "/v1/kv/c/", {"data": LARGE, "headers": FALSE}),
    (404, "GET", "/v1/counters/none", {}),
    (404, "DELETE", "/v1/counters/none", {}),
    (400, "PUT", "/v1/counters/c", {"data": '{"value":1.5}'}),
    (409, "POST", "/v1/counters/c/increments", {"data": '{"by":5,"max":1}'}),
    (409, "POST", "/v1/counters/full/increments", {}),
    (400, "POST", "/v1/counters/c/increments", {"data": b"[" * 60_000}),
    (422, "PUT", "/v1/counters/c", {"data": '{"value":2}', "headers": {"Idempotency-Key": "used"}}),
    (
        200,
        "POST",
        "/v1/batch",
        batch(
            {"op": "put", "key": "k", "value": "v" * 500_000, "if_match": "x"},
            {"op": "delete", "key": "none"},
            {"op": "delete", "key": "k", "if_match": "x"},
            {"op": "get", "key": "none"},
            {"op": "add", "counter": "full"},
        ),
    ),
    (400, "POST", "/v1/batch", {"data": LARGE}),
    (400, "PUT", "/plain", {"data": b"[" + LARGE[1:]}),
    (404, "GET", "/none", {}),
    (404, "POST", "/v1/none/none/none", {"data": LARGE}),
    (405, "POST", "/v1/counters/c", {"data": LARGE}),
    (400, "GET", "/v1/kv?limit=0", {}),
    (400, "GET", "/v1/kv?cursor=zzz", {}),
]


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=redis_server.url)) as service:
        used = {"Idempotency-Key": "used"}
        assert (await ask(service, "PUT", "/v1/kv/k", data=b"v", headers=used)).status == 201
        assert (await ask(service, "PUT", "/v1/kv/j", data=b"{}", headers=JSON)).status == 201
        for name, value in (("c", 1), ("full", 2**63 - 1)):
            body = json.dumps({"value": value})
            path = f"/v1/counters/{name}"
            assert (await ask(service, "PUT", path, data=body, headers=used)).status == 200
        yield service


@pytest.fixture
async def hasty(service: Service) -> AsyncIterator[Service]:
    """A service on the same store, which waits neither for it nor for bodies."""
    brief = dataclasses.replace(service.settings, body_timeout_seconds=0.3, store_timeout_ms=300)
    async with running_service(brief) as hasty:
        yield hasty


#: An attempt to connect that fails leaves a cycle of asyncio's own. The store makes one now and
#: then, in the background, to find out why it failed: not a request, and not one for each.
DIAGNOSIS = (
    "svc/stores/failures.py",
    "svc/stores/tls_mismatch.py",
    "asyncio/streams.py",
    "asyncio/base_events.py",
)


def code_of(each: types.TracebackType | types.FrameType) -> types.CodeType:
    frame = each.tb_frame if isinstance(each, types.TracebackType) else each
    return frame.f_code


@contextmanager
def no_garbage() -> Iterator[None]:
    """Fail if the block leaves a traceback, a frame or a body in a cycle."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        found = [
            repr(each)
            for each in gc.garbage
            if isinstance(each, types.TracebackType | types.FrameType)
            and not code_of(each).co_filename.endswith(DIAGNOSIS)
        ]
        bodies = [
            len(part)
            for each in gc.garbage
            for part in gc.get_referents(each)
            if isinstance(part, (bytes, bytearray)) and len(part) > MIB // 4
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert (found, bodies) == ([], [])


@pytest.mark.parametrize(("status", "method", "path", "options"), REFUSED)
async def test_a_refused_request_leaves_no_cycle(
    service: Service, status: int, method: str, path: str, options: Options
) -> None:
    with no_garbage():
        for _ in range(REPEATS):
            assert (await ask(service, method, path, **options)).status == status


@pytest.mark.parametrize("end", ["half", "chunk", "nothing"])
@pytest.mark.parametrize("path", ["/v1/kv/k", "/plain", "/v1/counters/c"])
@pytest.mark.parametrize("waits", [False, True])
async def test_an_upload_cut_off_by_the_client_or_the_deadline_leaves_no_cycle(
    service: Service, hasty: Service, path: str, end: str, waits: bool
) -> None:
    service = hasty if waits else service
    lifecycle = service.app[LIFECYCLE]
    length = "Transfer-Encoding: chunked" if end == "chunk" else "Content-Length: 60000"
    half = {"half": b"x" * 30_000, "chunk": b"7530\r\n" + b"x" * 30_000 + b"\r\n", "nothing": b""}

    with no_garbage():
        for _ in range(REPEATS):
            async with raw_connection(service.port) as wire:
                await wire.send(f"PUT {path} HTTP/1.1\r\nHost: t\r\n{length}\r\n\r\n", half[end])
                if waits:
                    assert (await wire.answer()).status == 408
                else:
                    await eventually(lambda: lifecycle.active == 1, what="the request")
            await eventually(lambda: lifecycle.active == 0, what="its end")
            await asyncio.sleep(0.01)


REQUESTS: list[Callable[[Service], Awaitable[object]]] = [
    lambda service: ask(service, "PUT", "/v1/kv/k", data=LARGE),
    lambda service: ask(service, "PUT", "/v1/kv/k", data=LARGE, headers=FALSE),
    lambda service: ask(service, "GET", "/v1/kv/k"),
    lambda service: ask(service, "POST", "/v1/counters/c/increments"),
    lambda service: ask(service, "GET", "/v1/kv"),
    lambda service: ask(service, "POST", "/v1/batch", **batch({"op": "get", "key": "k"})),
    lambda service: ask(
        service, "POST", "/v1/batch", **batch({"op": "put", "key": "k", "value": "v" * 500_000})
    ),
]


@pytest.mark.parametrize("request_to", REQUESTS)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_store_that_hangs_or_is_gone_leaves_no_cycle(
    hasty: Service,
    redis_server: RedisServer,
    number: signal.Signals,
    request_to: Callable[[Service], Awaitable[object]],
) -> None:
    redis_server.signal(number)
    try:
        with no_garbage():
            for _ in range(REPEATS):
                await request_to(hasty)
    finally:
        redis_server.signal(signal.SIGCONT)
