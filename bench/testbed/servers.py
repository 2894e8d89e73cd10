"""Servers that run while a block runs: Redis, a collector of traces, and tallykv."""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.frame.cores import Cores
from bench.frame.errors import BenchError
from bench.frame.processes import (
    ChildProcess,
    find_program,
    free_port,
    running,
    wait_until_listening,
)

READY_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Server:
    """A server that accepts connections on loopback."""

    name: str
    port: int
    process: ChildProcess
    #: The port of tallykv's probes and metrics.
    admin_port: int = 0


@dataclass(frozen=True)
class Stack:
    """A tallykv with all signals on, and the servers that it needs."""

    tallykv: Server
    redis: Server
    collector: Server


@contextlib.contextmanager
def running_redis(cores: Cores) -> Iterator[Server]:
    """Run an empty Redis without persistence."""
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with running([find_program("redis-server"), *arguments], cores) as process:
        wait_until_listening(process, port)
        yield Server("Redis", port, process)


@contextlib.contextmanager
def running_collector(cores: Cores, spans: Path | None = None) -> Iterator[Server]:
    """Run a collector of traces. It writes the received spans to the file ``spans``."""
    port = free_port()
    command = [sys.executable, "-m", "bench.testbed.collector", str(port)]
    if spans is not None:
        command.append(str(spans))
    with running(command, cores) as process:
        wait_until_listening(process, port)
        yield Server("collector", port, process)


def all_signals(collector: Server, ratio: float = 0.01) -> dict[str, str]:
    """Return the settings that turn on metrics, logs and traces, without a cap on traces."""
    return {
        "KV_TELEMETRY": "on",
        "KV_LOG_FORMAT": "json",
        "KV_TRACES_PER_SECOND": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": f"{ratio:g}",
    }


def tallykv_environ(
    store_url: str, port: int, admin_port: int, settings: dict[str, str]
) -> dict[str, str]:
    return {
        "KV_STORE_URL": store_url,
        "KV_HOST": "127.0.0.1",
        "KV_PORT": str(port),
        "KV_ADMIN_PORT": str(admin_port),
        "KV_DRAIN_SECONDS": "0",
        **settings,
    }


@contextlib.contextmanager
def running_tallykv(store_url: str, cores: Cores, **settings: str) -> Iterator[Server]:
    """Run the service as its users do. ``settings`` are further variables."""
    port, admin_port = free_port(), free_port()
    # A shared machine may stall for longer than the default deadline.
    settings = {"KV_STORE_TIMEOUT_MS": "5000", **settings}
    environ = tallykv_environ(store_url, port, admin_port, settings)
    with running([sys.executable, "-m", "svc", "serve"], cores, environ) as process:
        for number in range(int(settings.get("KV_WORKERS", "1"))):
            _wait_until_ready(process, f"http://127.0.0.1:{admin_port + number}/readyz")
        wait_until_listening(process, port)
        yield Server("tallykv", port, process, admin_port)


@contextlib.contextmanager
def running_stack(
    server_cores: Cores, other_cores: Cores, spans: Path | None = None, **settings: str
) -> Iterator[Stack]:
    """Run tallykv with all signals on ``server_cores``, Redis and a collector on the others."""
    with running_redis(other_cores) as redis, running_collector(other_cores, spans) as collector:
        settings = {**all_signals(collector), **settings}
        url = f"redis://127.0.0.1:{redis.port}"
        with running_tallykv(url, server_cores, **settings) as tallykv:
            yield Stack(tallykv, redis, collector)


def _wait_until_ready(process: ChildProcess, url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        process.check_alive()
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=1),  # noqa: S310 - our own loopback address
        ):
            return
        if time.monotonic() > deadline:
            raise BenchError(f"{url} did not answer 200 within {READY_SECONDS:.0f} s")
        time.sleep(0.005)
