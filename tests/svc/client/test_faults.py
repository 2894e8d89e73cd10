"""On a network that loses answers and cuts connections, nothing is lost and nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from svc.client import Batch, KeyMissing, OutcomeUnknown, Unavailable
from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import running_service
from tests.support.sizes import size
from tests.support.tcp_proxy import Proxy, running_proxy
from tests.support.waiting import eventually
from tests.svc.client.clients import KINDS, open_client
from tests.svc.client.listening import listening

STEPS: Final = size(40, long=2000)
WRITERS: Final = 4


@pytest.fixture
async def network(shared_redis: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy before a service that cuts and drops what it is told to."""
    shared_redis.client().flushall()
    async with (
        running_service(Settings(store_url=shared_redis.url)) as service,
        running_proxy(service.port) as proxy,
    ):
        yield proxy


def base_of(network: Proxy) -> str:
    return f"http://127.0.0.1:{network.port}"


@pytest.mark.parametrize("kind", KINDS)
async def test_increments_and_swaps_are_exact_while_answers_are_lost(
    kind: str, network: Proxy
) -> None:
    async def write(kv: Any) -> None:
        for _ in range(STEPS // WRITERS):
            await kv.increment("n")
            await kv.update("swapped", lambda entry: 1 + (entry.json() if entry else 0))

    async with open_client(kind, base_of(network)) as kv:
        network.cut_every = 3
        await asyncio.gather(*(write(kv) for _ in range(WRITERS)))
        network.cut_every = 0

        assert network.dropped > STEPS / 2
        assert (await kv.get_counter("n")).value == STEPS
        assert (await kv.get("swapped")).json() == STEPS


async def test_each_write_is_applied_once_though_its_answer_was_lost(network: Proxy) -> None:
    batch = Batch()
    for number in range(10):
        batch.increment("n", number)
        batch.put(f"b/{number}", str(number), if_none_match="*")

    async def cut_next(call: Any) -> Any:
        network.cuts = 1
        found = await call
        assert network.cuts == 0
        return found

    async with open_client("awaiting", base_of(network)) as kv:
        written = await cut_next(kv.put("k", {"n": 1}, if_none_match="*"))
        patched = await cut_next(kv.patch("k", {"n": 2}, if_match=written.etag))
        assert (await cut_next(kv.get("k"))).etag == patched.etag
        assert await cut_next(kv.delete("k", if_match=patched.etag)) is True
        created = await cut_next(kv.create("tasks/", "task"))
        assert [each.key for each in await kv.all("entries", "tasks/")] == [created.key]
        assert (await cut_next(kv.set_counter("s", 7))).previous is None
        await cut_next(kv.run(batch))
        assert (await kv.get_counter("n")).value == sum(range(10))
        assert len(await cut_next(kv.all("entries", "b/"))) == 10
        with pytest.raises(KeyMissing):
            await cut_next(kv.get("k"))


async def test_without_a_key_a_lost_answer_is_told_and_not_repeated(network: Proxy) -> None:
    async with open_client("awaiting", base_of(network)) as kv:
        network.cuts = 1
        with pytest.raises(OutcomeUnknown) as caught:
            await kv.increment("n", idempotency_key=False)

        assert (caught.value.applied, caught.value.tries) == ("unknown", 1)
        assert (await kv.get_counter("n")).value == 1


async def test_an_answer_that_never_comes_costs_one_try(network: Proxy) -> None:
    async with open_client("awaiting", base_of(network), try_timeout=1.0) as kv:
        network.drops_replies = True
        stepping = asyncio.create_task(kv.increment("n"))
        await eventually(lambda: network.dropped)
        network.drops_replies = False

        await stepping

        assert (await kv.get_counter("n")).value == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_never_ends_is_given_up(kind: str) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with (
        listening(drip) as port,
        open_client(kind, f"http://127.0.0.1:{port}", deadline=0.5) as kv,
    ):
        with pytest.raises(Unavailable):
            await kv.get("k")
