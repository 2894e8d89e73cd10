"""The network drops packets without a word, in a network namespace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from svc.settings import Settings
from svc.stores.node_link import CHECK_SECONDS
from tests.conftest import need_redis_7
from tests.support.answers import (
    assert_refused_or_unknown,
    assert_unknown,
    get,
    increment,
    insist,
    put,
)
from tests.support.network_namespaces import DistantRedis, distant_redis
from tests.support.services import Service, running_service
from tests.support.waiting import eventually

#: The kernel sends an unacknowledged packet again after 0.2, 0.6, 1.4 and 3 s.
RESENDING_SECONDS = 2.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DistantRedis]:
    with distant_redis(need_redis_7(), tmp_path) as server:
        yield server


@pytest.fixture
async def service(server: DistantRedis) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=server.url, store_timeout_ms=2000)) as service:
        yield service


@pytest.fixture
async def unhurried(server: DistantRedis) -> AsyncIterator[Service]:
    """A service that has twenty times the default time: these tests are not about how soon."""
    async with running_service(Settings(store_url=server.url, store_timeout_ms=10_000)) as service:
        yield service


@pytest.mark.usefixtures("rarely_checked")
async def test_when_the_network_heals_no_write_of_before_lands_over_a_newer_one(
    service: Service, server: DistantRedis
) -> None:
    await insist(lambda: put(service, "k", b"first"))
    server.cut()
    assert_unknown(await put(service, "k", b"old"))
    server.heal()

    async def written() -> bool:
        answer = await put(service, "k", b"new")
        if answer.status != 200:
            assert_refused_or_unknown(answer)
        return answer.status == 200

    await eventually(written, what="the network")
    until = time.monotonic() + RESENDING_SECONDS
    while time.monotonic() < until:
        assert (await insist(lambda: get(service, "k"))).body == b"new"
        await asyncio.sleep(0.02)


async def test_connections_that_a_nat_forgot_make_no_request_fail(
    unhurried: Service, server: DistantRedis
) -> None:
    assert (await put(unhurried, "k", b"v")).status == 201
    assert (await increment(unhurried, "n")).status == 200
    await asyncio.sleep(CHECK_SECONDS * 1.1)
    server.forget_connections()

    read = await get(unhurried, "k")

    assert (read.status, read.body) == (200, b"v")
    assert (await increment(unhurried, "n")).json["value"] == 2


async def test_a_step_that_is_first_on_a_forgotten_connection_counts_once(
    unhurried: Service, server: DistantRedis
) -> None:
    assert (await increment(unhurried, "n")).status == 200
    await asyncio.sleep(CHECK_SECONDS * 1.1)
    server.forget_connections()

    assert (await increment(unhurried, "n")).json["value"] == 2
