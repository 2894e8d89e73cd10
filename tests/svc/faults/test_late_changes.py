"""A change reaches Redis after its request was answered 504: it must not be made any more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
import redis

from svc.stores.node_link import NodeLink
from tests.support.answers import (
    Answer,
    ask,
    assert_unknown,
    batch,
    counter_value,
    get,
    increment,
    insist,
    put,
)
from tests.support.redis_servers import RedisServer
from tests.support.services import Service
from tests.support.tcp_proxy import Proxy
from tests.support.waiting import eventually
from tests.svc.faults.conftest import hurried

pytestmark = pytest.mark.usefixtures("rarely_checked")

JSON = {"Content-Type": "application/json"}
ONCE = {**JSON, "Idempotency-Key": "once"}

#: Every change that begins with its script.
CHANGES: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
    "put": ("PUT", "/v1/kv/k", b'{"a":2}', JSON),
    "put once": ("PUT", "/v1/kv/k", b'{"a":2}', ONCE),
    "put if": ("PUT", "/v1/kv/k", b'{"a":2}', {"If-Match": "*"}),
    "put keep": ("PUT", "/v1/kv/k?ttl=keep", b'{"a":2}', JSON),
    "plain put": ("PUT", "/k", b'{"a":3}', JSON),
    "delete": ("DELETE", "/v1/kv/k", b"", {}),
    "post": ("POST", "/v1/kv/k/", b'{"a":1}', JSON),
    "claim": ("POST", "/v1/kv/k/", b'{"a":1}', ONCE),
    "step": ("POST", "/v1/counters/k/increments", b"", {}),
    "bounded": ("POST", "/v1/counters/k/increments", b'{"by":5,"max":6}', JSON),
    "set": ("PUT", "/v1/counters/k", b'{"value":6}', JSON),
    "delete counter": ("DELETE", "/v1/counters/k", b"", {}),
    "batch": ("POST", "/v1/batch", b'{"operations":[{"op":"put","key":"k","value":1}]}', JSON),
}


@pytest.fixture
def redis_server(either_redis: RedisServer) -> RedisServer:
    return either_redis


@pytest.fixture
async def service(served_over_network: Service) -> Service:
    await insist(lambda: put(served_over_network, "k", b"before"))
    await insist(lambda: increment(served_over_network, "k"))
    return served_over_network


async def change(service: Service, kind: str) -> Answer:
    method, path, data, headers = CHANGES[kind]
    return await ask(service, method, path, data=data, headers=headers)


def contents(client: redis.Redis) -> dict[bytes, Any]:
    return {name: client.dump(name) for name in client.scan_iter()}


def errors_of(client: redis.Redis) -> dict[str, Any]:
    errors: dict[str, Any] = client.info("errorstats")
    return errors


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("by_source", [False, True])
async def test_a_change_that_arrives_after_its_504_is_not_made(
    service: Service, network: Proxy, either_redis: RedisServer, kind: str, by_source: bool
) -> None:
    with contextlib.closing(either_redis.client()) as client:
        if not by_source:  # Redis knows the script
            await insist(lambda: change(service, kind))
            await insist(lambda: put(service, "k", b"before"))
            await insist(lambda: increment(service, "k"))
        before = contents(client)
        network.holds_requests = True

        with hurried(service):
            answer = await change(service, kind)
        assert (answer.status, network.held != []) == (200 if kind == "batch" else 504, True)
        await network.deliver()

        seen = "errorstat_NOSCRIPT" if by_source else "errorstat_LATE"
        await eventually(lambda: seen in errors_of(client), what="the late change")
        assert contents(client) == before


async def test_a_newer_write_that_was_acknowledged_is_not_undone(
    service: Service, network: Proxy, either_redis: RedisServer
) -> None:
    network.holds_requests = True
    with hurried(service):
        assert_unknown(await put(service, "k", b"old"))
    network.holds_requests = False
    await insist(lambda: put(service, "k", b"new"))

    await network.deliver()

    with contextlib.closing(either_redis.client()) as client:
        await eventually(lambda: "errorstat_LATE" in errors_of(client), what="the old write")
    assert (await get(service, "k")).body == b"new"


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_anew_makes_no_change_fail(service: Service, hours: int) -> None:
    """The server's clock is ahead of what the service knows, or behind it."""
    await asyncio.gather(*(increment(service, "k", f"op-{i}") for i in range(5)))
    link = service.store.link
    assert isinstance(link, NodeLink)
    for wire in link._free:
        wire.clock.offset_ms += hours * 3_600_000

    answers = await asyncio.gather(
        put(service, "k", b"v"),
        increment(service, "k"),
        *(increment(service, "k", f"another-{i}") for i in range(5)),
    )

    assert {answer.status for answer in answers} == {200}
    assert await counter_value(service, "k") == 12
    (result,) = await batch(service, {"op": "add", "counter": "k"})
    assert result["status"] == 200
