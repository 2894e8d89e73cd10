"""Many requests want a connection at the same moment, and each has to ask where the primary is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import need_redis_7
from tests.support.sentinels import Watched, running_sentinels
from tests.support.services import service_process

REQUESTS = 60


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with running_sentinels(need_redis_7(), tmp_path, 1) as watched:
        yield watched


async def test_one_that_is_told_takes_nothing_from_the_others(watched: Watched) -> None:
    # A process of its own: uvloop says of a closed transport what asyncio keeps to itself.
    with service_process(KV_STORE_URL=watched.url, KV_STORE_TIMEOUT_MS="5000") as service:

        async def create(client: aiohttp.ClientSession, number: int) -> int:
            # Conditional writes share no round trip, so each wants a connection.
            url, only = f"{service.base}/v1/kv/k{number}", {"If-None-Match": "*"}
            async with client.put(url, data=b"v", headers=only) as answer:
                return answer.status

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            statuses = await asyncio.gather(*(create(client, i) for i in range(REQUESTS)))

    assert set(statuses) == {201}
