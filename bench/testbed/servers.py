"""The servers of a measurement: tallykv, Redis, and a collector of traces."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.frame.cores import Cores
from bench.frame.errors import BenchError
from bench.frame.processes import (
    POLL_SECONDS,
    PORTS,
    READY_SECONDS,
    Server,
    find_program,
    free_port,
    running,
)

from .http_client import exchange
from .operations import render_request

#: A shared machine may stall for longer than the default deadline.
PATIENT: Final = {"KV_STORE_TIMEOUT_MS": "5000"}
READYZ: Final = render_request("GET", "/readyz")


class Service(Server):
    """``python -m svc serve`` with these settings."""

    def __init__(
        self, store_url: str, settings: Mapping[str, str] | None = None, cores: Cores = ()
    ) -> None:
        settings = settings or {}
        self._workers = int(settings.get("KV_WORKERS", "1"))
        port, self.admin_port = free_port(), PORTS.choose(self._workers)
        environ = {
            "KV_STORE_URL": store_url,
            "KV_HOSTS": "*",
            "KV_PORT": str(port),
            "KV_ADMIN_PORT": str(self.admin_port),
            "KV_DRAIN_SECONDS": "0",
            **settings,
        }
        super().__init__("tallykv", [sys.executable, "-m", "svc", "serve"], port, cores, environ)

    def is_ready(self) -> bool:
        """Return True if all workers are ready for traffic."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            ports = range(self.admin_port, self.admin_port + self._workers)
            return all(exchange(port, READYZ)[0] == 200 for port in ports) and super().is_ready()
        return False


class Redis(Server):
    """An empty redis-server without persistence, unless the options say otherwise."""

    def __init__(self, *options: str, cores: Cores = (), directory: Path | None = None) -> None:
        port = _port_with_cluster_bus()
        command = [find_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no"]
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            command += ["--dir", str(directory)]
        super().__init__("Redis", [*command, *options], port, cores)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Return True if it has loaded its data and answers."""
        with contextlib.suppress(redis.RedisError):
            return bool(execute(self.port, "PING"))
        return False

    async def execute(self, *words: object, seconds: float = 5.0) -> Any:
        """Run one command on a connection of its own; raise redis.RedisError."""
        return await asyncio.to_thread(execute, self.port, *words, seconds=seconds)


class Collector(Server):
    """A collector of traces. It writes the received spans to the file ``spans``."""

    def __init__(self, cores: Cores = (), spans: Path | None = None) -> None:
        port = free_port()
        command = [sys.executable, "-m", "bench.testbed.collector", str(port)]
        super().__init__("collector", [*command, *([str(spans)] if spans else [])], port, cores)

    def signals(self, ratio: float = 0.01) -> dict[str, str]:
        """Return the settings that turn on metrics, logs and traces to here, without a cap."""
        return {
            "KV_TELEMETRY": "on",
            "KV_LOG_FORMAT": "json",
            "KV_TRACES_PER_SECOND": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": f"{ratio:g}",
        }


@dataclass(frozen=True)
class Stack:
    """A tallykv with all signals on, and the servers that it needs."""

    tallykv: Service
    redis: Redis
    collector: Collector


@contextlib.contextmanager
def running_stack(
    server_cores: Cores, other_cores: Cores, spans: Path | None = None, **settings: str
) -> Iterator[Stack]:
    """Run tallykv with all signals on ``server_cores``, Redis and a collector on the others."""
    with (
        running(Redis(cores=other_cores)) as server,
        running(Collector(other_cores, spans)) as collector,
    ):
        settings = {**PATIENT, **collector.signals(), **settings}
        with running(Service(server.url, settings, server_cores)) as tallykv:
            yield Stack(tallykv, server, collector)


def execute(port: int, *words: object, seconds: float = 5.0) -> Any:
    """Run one command of Redis; raise redis.RedisError."""
    with contextlib.closing(
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0), socket_timeout=seconds)
    ) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


async def wait_until(
    condition: Callable[[], Awaitable[bool]], server: Server, complaint: str
) -> None:
    """Poll the condition until it is true; raise BenchError if the server ends or after a time."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await condition():
                server.check_alive()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise BenchError(f"{server.name} {complaint} after {READY_SECONDS:.0f} s") from None


def _port_with_cluster_bus() -> int:
    """Return a free port P where P + 10,000 is free too: Redis Cluster uses both."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 10_000))
            return port
