"""Watches of both clients on a running service, over a network that cuts them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from svc.client import Changed, Deleted, Entry, Synced
from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.sizes import size
from tests.support.tcp_proxy import Proxy, running_proxy
from tests.support.waiting import PATIENT_SECONDS
from tests.svc.client.clients import KINDS, open_client

STEPS: Final = size(60, long=2000)
#: Greater than any value before.
LAST: Final = 10**9


@pytest.fixture
async def served(shared_redis: RedisServer) -> AsyncIterator[Service]:
    shared_redis.client().flushall()
    async with running_service(Settings(store_url=shared_redis.url)) as service:
        yield service


@pytest.fixture
async def network(served: Service) -> AsyncIterator[Proxy]:
    async with running_proxy(served.port) as proxy:
        yield proxy


class Follower:
    """Keeps what a watch told, and the values of each key in their order."""

    def __init__(self) -> None:
        self.state: dict[str, int] = {}
        self.history: dict[str, list[int]] = defaultdict(list)

    def take(self, event: Changed | Deleted | Synced) -> None:
        if isinstance(event, Changed):
            assert isinstance(event.entry, Entry)
            self.state[event.entry.key] = event.entry.json()
            self.history[event.entry.key].append(event.entry.json())
        elif isinstance(event, Deleted):
            del self.state[event.name]


async def follow(kind: str, client: Any, follower: Follower, end: dict[str, int]) -> None:
    """Follow a prefix until its state is the wanted one."""
    if kind == "awaiting":
        async for event in client.client.watch_prefix("w/", values=True):
            follower.take(event)
            if follower.state == end:
                return

    def read() -> None:
        for event in client.client.watch_prefix("w/", values=True):
            follower.take(event)
            if follower.state == end:
                return

    await asyncio.to_thread(read)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_watch_ends_with_the_final_state_though_it_is_cut(
    kind: str, served: Service, network: Proxy
) -> None:
    follower = Follower()
    end = {f"w/{number}": LAST + number for number in range(1, 5)}
    async with (
        asyncio.timeout(PATIENT_SECONDS),
        open_client("awaiting", served.base) as writer,
        open_client(kind, f"http://127.0.0.1:{network.port}") as client,
    ):
        network.cut_every = 4
        following = asyncio.create_task(follow(kind, client, follower, end))
        step = 0
        while step < STEPS or network.dropped < 3:
            await writer.put(f"w/{step % 5}", step)
            if step % 7 == 0:
                await writer.delete(f"w/{(step + 2) % 5}")
            step += 1
        network.cut_every = 0
        for key, value in end.items():
            await writer.put(key, value)
        await writer.delete("w/0")

        await following

    for values in follower.history.values():
        assert values == sorted(values), "an older state came after a newer one"
