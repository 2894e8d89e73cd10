"""One fake cluster for a module: an API server, a gateway with requests, and a Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rollout.cli.cli_runner import Cluster
from tests.rollout.cli.example_service import ExampleService, FakeIngressGateway
from tests.support.api_server import ApiServer, serving
from tests.support.prometheus import running_prometheus


@contextlib.contextmanager
def listening_beside(server: ApiServer) -> Iterator[None]:
    """Serve from a thread, because the tests block while they wait for processes."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    up = threading.Event()

    async def serve() -> None:
        async with serving(server):
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="api server")
    thread.start()
    try:
        assert up.wait(60), "the API server did not start"
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    server = ApiServer()
    gateway = FakeIngressGateway(server)
    with (
        listening_beside(server),
        gateway.serving() as job,
        running_prometheus(directory, [job], interval="100ms") as prometheus,
    ):
        kubeconfig = server.kubeconfig(directory / "kubeconfig")
        yield Cluster(server, gateway, kubeconfig, prometheus.base)


@pytest.fixture
def service(cluster: Cluster) -> Iterator[ExampleService]:
    with cluster.gateway.add_service() as added:
        yield added


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
