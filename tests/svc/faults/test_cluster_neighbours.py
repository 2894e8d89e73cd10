"""A server of the cluster hangs: requests for the others succeed as often and as fast as before."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from svc.settings import Settings
from tests.support.answers import Answer, get, increment, put, together
from tests.support.clusters import hanging, names_on
from tests.support.redis_servers import RedisCluster, RedisServer
from tests.support.services import Service, running_service

NAMES: Final = [f"n{i}" for i in range(60)]
#: Requests of each kind per second: each name is asked once in a second.
TICK_SECONDS: Final = 1 / len(NAMES)
#: The store's timeout. A busy machine delays answers too, but not for so long.
TIMEOUT_MS: Final = 8_000
HANG_SECONDS: Final = 5.0


@dataclass
class Load:
    """Requests at a steady rate, however long their answers take."""

    service: Service
    tasks: list[asyncio.Task[tuple[str, str, Answer]]] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # On a busy machine it takes longer until each name was asked for twice.
        while time.monotonic() < until or len(self.tasks) < 2 * 3 * len(NAMES):
            name = NAMES[len(self.tasks) // 3 % len(NAMES)]
            for kind, asked in (
                ("get", get(self.service, name)),
                ("put", put(self.service, name, b"v")),
                ("add", increment(self.service, name)),
            ):
                self.tasks.append(asyncio.create_task(_labelled(kind, name, asked)))
            await asyncio.sleep(TICK_SECONDS)

    async def answers(self) -> list[tuple[str, str, Answer]]:
        return await asyncio.gather(*self.tasks)


async def _labelled(kind: str, name: str, asked: Any) -> tuple[str, str, Answer]:
    return kind, name, await asked


@pytest.fixture
async def service(own_cluster: RedisCluster) -> AsyncIterator[Service]:
    own_cluster.flush()
    settings = Settings(store_url=own_cluster.url, store_timeout_ms=TIMEOUT_MS)
    async with running_service(settings) as running:
        yield running


async def test_the_neighbours_of_a_hanging_server_notice_nothing(
    service: Service, own_cluster: RedisCluster, victim: RedisServer
) -> None:
    lost_keys, lost_counters = names_on(own_cluster, victim, NAMES)
    lost = {"get": lost_keys, "put": lost_keys, "add": lost_counters}
    await together(*(put(service, name, b"v") for name in NAMES))
    load = Load(service)

    async with hanging(victim):
        await load.run(HANG_SECONDS)
        answers = await load.answers()

    for kind, lost_names in lost.items():
        well = [a for k, name, a in answers if k == kind and name not in lost_names]
        succeeded = sum(a.status < 300 for a in well)
        assert succeeded >= 0.999 * len(well), f"{kind}: {succeeded} of {len(well)}"
        # Usually a few milliseconds. Behind a hanging server it would be the store's timeout.
        assert statistics.median(a.seconds for a in well) < TIMEOUT_MS / 1000 / 4, kind
    refused = [a for kind, name, a in answers if name in lost[kind] and a.status >= 500]
    assert len(refused) > len(NAMES), "the server did not hang"
