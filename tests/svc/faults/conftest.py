"""Fixtures of the fault tests: a Redis or a cluster for one test, and a service on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import MethodType
from typing import Any, Final

import pytest

from svc.settings import Settings
from svc.stores.batcher import Batcher
from tests.conftest import need_redis_6, need_redis_7
from tests.support.answers import insist, put
from tests.support.clusters import ask_node, wait_whole
from tests.support.redis_servers import (
    RedisCluster,
    RedisServer,
    running_cluster,
    running_redis,
)
from tests.support.services import Service, running_service
from tests.support.tcp_proxy import Proxy, running_proxy

#: The store's timeout in tests of the result, not of its time: the machine may be busy.
PATIENT_MS: Final = 30_000
#: Where the timeout is waited for.
HASTY_MS: Final = 1_000
#: Where one server lets it pass, and the others must answer within it.
STEADY_MS: Final = 6_000


@pytest.fixture(params=["redis-6.2", "redis-7"])
def either_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """The oldest and the newest Redis, whose error messages differ."""
    binary = need_redis_6() if request.param == "redis-6.2" else need_redis_7()
    with running_redis(binary, tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def served(redis_server: RedisServer) -> AsyncIterator[Service]:
    """A service over ``redis_server`` that waits for it no longer than HASTY_MS."""
    settings = Settings(store_url=redis_server.url, store_timeout_ms=HASTY_MS)
    async with running_service(settings) as service:
        yield service


@pytest.fixture
async def patient(redis_server: RedisServer) -> AsyncIterator[Service]:
    """A service over ``redis_server`` with a timeout longer than the default."""
    settings = Settings(store_url=redis_server.url, store_timeout_ms=PATIENT_MS)
    async with running_service(settings) as service:
        yield service


@pytest.fixture
async def served_on_either(either_redis: RedisServer) -> AsyncIterator[Service]:
    """A service with a long timeout over ``either_redis``."""
    settings = Settings(store_url=either_redis.url, store_timeout_ms=PATIENT_MS)
    async with running_service(settings) as service:
        yield service


@pytest.fixture
async def network(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    """A proxy before ``redis_server`` that loses and delays what it is told to."""
    async with running_proxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
async def served_over_network(network: Proxy) -> AsyncIterator[Service]:
    """A service over ``network``, to be ``hurried``. It has a connection, and knows a script."""
    settings = Settings(store_url=network.url, store_timeout_ms=PATIENT_MS)
    async with running_service(settings) as service:
        await insist(lambda: put(service, "warm", b"up"))
        yield service


@contextlib.contextmanager
def hurried(service: Service, timeout_ms: int = HASTY_MS) -> Iterator[None]:
    """Let the service wait for its store no longer than this, until the block ends.

    A busy machine may hold Redis up for longer: what has to succeed is asked outside the block.
    Watches and rate limits keep their time.
    """
    store = service.store
    waiting: list[Any] = [store]
    for submit in (store._submit_read, store._submit_write, store._submit_add):
        assert isinstance(submit, MethodType)
        assert isinstance(submit.__self__, Batcher)
        waiting.append(submit.__self__)
    patience = store._timeout
    for each in waiting:
        each._timeout = timeout_ms / 1000
    try:
        yield
    finally:
        for each in waiting:
            each._timeout = patience


@pytest.fixture
def rarely_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are used without a check for as long as a test takes.

    On a busy machine more than CHECK_SECONDS pass between the last request and the fault, and then
    it is the check that fails: the request itself is not sent, and is refused.
    """
    monkeypatch.setattr("svc.stores.node_link.CHECK_SECONDS", 600.0)


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster to break. It serves its remaining slots if others are down."""
    with running_cluster(need_redis_7(), tmp_path_factory.mktemp("cluster")) as cluster:
        for server in cluster.servers:
            ask_node(server, "CONFIG", "SET", "cluster-require-full-coverage", "no")
        yield cluster


@pytest.fixture
def victim(own_cluster: RedisCluster) -> Iterator[RedisServer]:
    """The first seed of ``own_cluster``, to break. A client that asks only this one fails."""
    server = own_cluster.servers[0]
    yield server
    if server.process is None:
        server.start()
    wait_whole(own_cluster)


@pytest.fixture
async def served_on_cluster(own_cluster: RedisCluster) -> AsyncIterator[Service]:
    own_cluster.flush()
    settings = Settings(store_url=own_cluster.url, store_timeout_ms=STEADY_MS)
    async with running_service(settings) as service:
        yield service


@pytest.fixture
async def patient_on_cluster(own_cluster: RedisCluster) -> AsyncIterator[Service]:
    own_cluster.flush()
    settings = Settings(store_url=own_cluster.url, store_timeout_ms=PATIENT_MS)
    async with running_service(settings) as service:
        yield service
