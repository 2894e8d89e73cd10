"""A service that has just started: its first burst of requests, and a store that is down."""

from __future__ import annotations

import asyncio

import pytest

from svc.settings import Settings
from tests.conftest import Backend
from tests.support.ports import free_port
from tests.support.services import running_service
from tests.svc.api.client import Api, problem


def calls(backend: Backend, command: str) -> int:
    """Return how often the servers received this command since their statistics were reset."""
    name = f"cmdstat_{command}"
    stats = [client.info("commandstats").get(name, {}) for client in backend.clients]
    return sum(int(each.get("calls", 0)) for each in stats)


async def test_a_first_burst_is_served_and_asks_for_the_clusters_slots_once(
    backend: Backend,
) -> None:
    """A reply to CLUSTER SLOTS takes milliseconds to parse, so one for each request is too many."""
    backend.flush()
    for client in backend.clients:
        client.config_resetstat()

    async with running_service(Settings(store_url=backend.url, store_timeout_ms=30_000)) as service:
        api = Api(service)
        answers = await asyncio.gather(
            *(api.put("/v1/kv/a", b"x", headers={"If-None-Match": "*"}) for _ in range(100))
        )

    assert sorted(answer.status for answer in answers) == [201] + [412] * 99
    assert calls(backend, "cluster|slots") <= 2 * len(backend.servers)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
@pytest.mark.parametrize("path", ["/v1/kv", "/v1/kv?limit=5", "/v1/counters", "/v1/kv/a", "/a"])
async def test_a_store_that_is_down_raises_store_unavailable_only(scheme: str, path: str) -> None:
    async with running_service(
        Settings(store_url=f"{scheme}://127.0.0.1:{free_port()}")
    ) as service:
        said = problem(await Api(service).get(path), 503, "store_unavailable")

    assert (said["applied"], said["retryable"]) == ("no", True)
