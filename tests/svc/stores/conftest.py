"""Fixtures of the embedded store's tests."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need_redis_6, need_redis_7
from tests.support.processes import children_of, is_running, name_of
from tests.support.services import ServiceProcess
from tests.support.waiting import until

#: Makes a service on the test's data directory, which is not started yet.
MakeService = Callable[..., ServiceProcess]


@pytest.fixture
def redis_path(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that makes a PATH with a redis-server of the given release."""

    def path_with(release: str) -> str:
        binary = need_redis_6() if release == "6.2" else need_redis_7()
        directory = tmp_path / f"bin-{release}"
        directory.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (directory / "redis-server").symlink_to(binary)
        return str(directory)

    return path_with


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Make services on one data directory. Stop each one and its redis-server at the end."""
    made: list[ServiceProcess] = []

    def make(**environ: str) -> ServiceProcess:
        service = ServiceProcess(
            {
                "KV_DATA_DIR": str(tmp_path / "data"),
                "KV_DRAIN_SECONDS": "0",
                # These tests are about results, not about their time.
                "KV_STORE_TIMEOUT_MS": "10000",
                **environ,
            }
        )
        made.append(service)
        return service

    yield make
    for service in made:
        running = service.process is not None and service.process.poll() is None
        servers = redis_servers_of(service) if running else []
        service.stop()
        until(lambda pids=servers: not any(map(is_running, pids)), what="redis-server")  # type: ignore[misc]


def redis_servers_of(service: ServiceProcess) -> list[int]:
    return [pid for pid in children_of(service.pid) if name_of(pid).startswith("redis-server")]


def redis_server_of(service: ServiceProcess) -> int:
    (pid,) = until(lambda: redis_servers_of(service), what="redis-server")
    return pid


def kill(service: ServiceProcess) -> None:
    service.signal(signal.SIGKILL)
    service.wait()
