"""``redis+sentinel://``: the service follows the primary that Sentinel names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from svc.domain.model import CounterName
from svc.settings import Settings
from svc.stores.names import counter_name
from tests.conftest import need_redis_7
from tests.support.answers import (
    PROMPT_SECONDS,
    ask,
    ask_admin,
    assert_refused,
    assert_refused_or_unknown,
    get,
    increment,
    insist,
    put,
)
from tests.support.redis_servers import RedisServer
from tests.support.sentinels import SERVICE, SentinelSetup, running_sentinels
from tests.support.services import Service, running_service
from tests.support.waiting import eventually


@pytest.fixture
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SentinelSetup]:
    with running_sentinels(need_redis_7(), tmp_path, getattr(request, "param", 1)) as watched:
        yield watched


def increments_at(server: RedisServer) -> int:
    with contextlib.closing(server.client()) as client:
        return int(client.get(counter_name(CounterName("n"))) or 0)


async def increment_until_seen(service: Service, server: RedisServer) -> None:
    """Increment the counter until the server has it. Only 503 or 504 may come before."""

    async def arrived() -> bool:
        answer = await increment(service, "n")
        if answer.status != 200:
            assert_refused_or_unknown(answer)
            return False
        # A server whose role Sentinel changes closes its connections, this client's too.
        with contextlib.suppress(redis.ConnectionError):
            return _is_primary(server) and increments_at(server) == answer.json["value"]
        return False

    await eventually(arrived, what="the new primary")


def _is_primary(server: RedisServer) -> bool:
    with contextlib.closing(server.client()) as client:
        return bool(client.info("replication")["role"] == "master")


def patient(watched: SentinelSetup) -> Settings:
    return Settings(store_url=watched.url, store_timeout_ms=30_000)


async def test_it_works_and_reports_its_mode(watched: SentinelSetup) -> None:
    async with running_service(patient(watched)) as service:
        # A Sentinel has little time to answer, on a busy machine sometimes too little.
        assert (await insist(lambda: put(service, "k", b"v"))).status == 201
        assert (await insist(lambda: get(service, "k"))).body == b"v"
        assert (await insist(lambda: increment(service, "n"))).json["value"] == 1
        status = (await ask_admin(service, "/statusz")).json

    assert increments_at(watched.primary) == 1
    assert (status["status"], status["store"]["mode"]) == ("ok", "sentinel")


async def test_after_a_failover_changes_reach_the_new_primary_without_a_restart(
    watched: SentinelSetup,
) -> None:
    async with running_service(patient(watched)) as service:
        await increment_until_seen(service, watched.primary)

        await asyncio.to_thread(watched.sentinels[0].fail_over)

        await increment_until_seen(service, watched.replica)
        assert (await insist(lambda: put(service, "k", b"v"))).status == 201
        assert (await insist(lambda: get(service, "k"))).body == b"v"


@pytest.mark.parametrize("watched", [3], indirect=True)
async def test_when_the_primary_and_a_sentinel_die_the_service_follows_the_rest(
    watched: SentinelSetup,
) -> None:
    async with running_service(Settings(store_url=watched.url)) as service:
        await increment_until_seen(service, watched.primary)
        watched.sentinels[0].stop()  # the Sentinel that is asked first

        watched.primary.stop()
        assert_refused_or_unknown(await increment(service, "n"))

        await increment_until_seen(service, watched.replica)


async def test_no_sentinel_at_all_refuses_everything_in_time(watched: SentinelSetup) -> None:
    watched.sentinels[0].stop()
    async with running_service(Settings(store_url=watched.url)) as service:
        for answer in (await get(service, "k"), await put(service, "k", b"v")):
            assert_refused(answer)
            assert answer.seconds < PROMPT_SECONDS


async def test_a_service_name_that_sentinel_does_not_know_refuses_everything(
    watched: SentinelSetup,
) -> None:
    url = watched.url.replace(f"/{SERVICE}", "/another")
    async with running_service(Settings(store_url=url)) as service:
        assert_refused(await ask(service, "GET", "/"))
