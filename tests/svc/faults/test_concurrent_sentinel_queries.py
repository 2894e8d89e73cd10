"""Many requests need a new connection at once, and all must find the primary by Sentinel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import need_redis_7
from tests.support.sentinels import SentinelSetup, running_sentinels
from tests.support.services import service_process

REQUESTS = 60
#: A busy machine may hold the only Sentinel up for longer than it is waited for.
ATTEMPTS = 4


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[SentinelSetup]:
    with running_sentinels(need_redis_7(), tmp_path, 1) as watched:
        yield watched


async def test_concurrent_requests_share_a_sentinel_query(
    watched: SentinelSetup,
) -> None:
    attempts = [await statuses_of_a_new_service(watched, "k0-")]
    while attempts[-1] != {201} and len(attempts) < ATTEMPTS:
        assert attempts[-1] <= {201, 503}
        attempts.append(await statuses_of_a_new_service(watched, f"k{len(attempts)}-"))

    assert attempts[-1] == {201}


async def statuses_of_a_new_service(watched: SentinelSetup, prefix: str) -> set[int]:
    """Start a service, which has no connection yet, and send all requests at once."""
    before = queries_of(watched)
    # A separate process, because uvloop logs errors on closed transports that asyncio hides.
    with service_process(KV_STORE_URL=watched.url, KV_STORE_TIMEOUT_MS="30000") as service:

        async def create(client: aiohttp.ClientSession, number: int) -> int:
            # Conditional writes do not share round trips, so each needs a connection.
            url, only = f"{service.base}/v1/kv/{prefix}{number}", {"If-None-Match": "*"}
            async with client.put(url, data=b"v", headers=only) as answer:
                return answer.status

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            statuses = await asyncio.gather(*(create(client, i) for i in range(REQUESTS)))

    # One by the test, and a few more of those who came too late for the first.
    assert queries_of(watched) - before < REQUESTS / 4
    return set(statuses)


def queries_of(watched: SentinelSetup) -> int:
    """Return how many connections the Sentinel has got: the service makes one for each query."""
    return int(watched.sentinels[0].ask("INFO", "stats")["total_connections_received"])
