"""How each server under measurement is started, and when it is ready."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..cost.peers import webdis
from ..frame.processes import BenchError, Cores, Process, free_port, running, wait_until_listening

READY_SECONDS: Final = 15.0
PEERS: Final = "bench.cost.peers"


@dataclass(frozen=True)
class Server:
    """A server that accepts connections on loopback."""

    name: str
    port: int
    process: Process
    #: Where tallykv shows its metrics.
    admin_port: int = 0


@contextlib.contextmanager
def running_redis(cores: Cores) -> Iterator[Server]:
    """Run an empty Redis that keeps nothing."""
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with running([program("redis-server", "redis-server"), *arguments], cores) as process:
        wait_until_listening(process, port)
        yield Server("Redis", port, process)


@contextlib.contextmanager
def running_collector(cores: Cores, spans: Path | None = None) -> Iterator[Server]:
    """Run a collector of traces, which writes down in ``spans`` what it took."""
    port = free_port()
    command = [sys.executable, "-m", "bench.testbed.collector", str(port)]
    if spans is not None:
        command.append(str(spans))
    with running(command, cores) as process:
        wait_until_listening(process, port)
        yield Server("collector", port, process)


def all_signals(collector: Server, ratio: float = 0.01) -> dict[str, str]:
    """Return the variables that turn on all that the service can tell, with no cap on traces."""
    return {
        "KV_TELEMETRY": "on",
        "KV_LOG_FORMAT": "json",
        "KV_TRACES_PER_SECOND": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": f"{ratio:g}",
    }


@contextlib.contextmanager
def running_tallykv(store_url: str, cores: Cores, **settings: str) -> Iterator[Server]:
    """Run the service as its users do; ``settings`` are further variables."""
    port, admin_port = free_port(), free_port()
    environ = {
        "KV_STORE_URL": store_url,
        "KV_HOST": "127.0.0.1",
        "KV_PORT": str(port),
        "KV_ADMIN_PORT": str(admin_port),
        "KV_DRAIN_SECONDS": "0",
        # A shared machine stalls for longer than the default deadline, which is not measured here.
        "KV_STORE_TIMEOUT_MS": "5000",
        **settings,
    }
    with running([sys.executable, "-m", "svc", "serve"], cores, environ) as process:
        for number in range(int(settings.get("KV_WORKERS", "1"))):
            _wait_until_ready(process, f"http://127.0.0.1:{admin_port + number}/readyz")
        wait_until_listening(process, port)
        yield Server("tallykv", port, process, admin_port)


@contextlib.contextmanager
def running_peer(name: str, redis_port: int, cores: Cores, directory: Path) -> Iterator[Server]:
    """Run a peer on one core, with one process to serve."""
    port = free_port()
    environ = {"PORT": str(port), "REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    if name == "webdis":
        config = webdis.write_config(directory, port, redis_port)
        command = [program("webdis", "webdis"), str(config)]
    else:
        command = [sys.executable, "-m", *COMMANDS[name](port)]
    with running(command, cores, environ) as process:
        wait_until_listening(process, port)
        yield Server(name, port, process)


def _fastapi(port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop"]
    options += ["--http", "httptools", "--no-access-log"]
    return ["uvicorn", f"{PEERS}.fastapi_redis:app", *options]


def _flask(port: int) -> list[str]:
    options = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    # Its control socket would lie in the home directory, where another gunicorn may have one.
    options += ["--workers", "1", "--threads", "8", "--no-control-socket"]
    return ["gunicorn", f"{PEERS}.flask_redis:app", *options]


#: Arguments after ``python -m``, by peer.
COMMANDS: Final[dict[str, Callable[[int], list[str]]]] = {
    "hello": lambda _: [f"{PEERS}.hello"],
    "floor": lambda _: [f"{PEERS}.batch_floor"],
    "aiohttp": lambda _: [f"{PEERS}.aiohttp_redis"],
    "FastAPI": _fastapi,
    "Flask": _flask,
}


def program(name: str, package: str) -> str:
    """Return the program's path; raise BenchError, naming the package to install."""
    found = shutil.which(name)
    if found is None:
        raise BenchError(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def _wait_until_ready(process: Process, url: str) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while True:
        process.check_alive()
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=1),  # noqa: S310 - our own loopback address
        ):
            return
        if time.monotonic() > give_up:
            raise BenchError(f"{url} did not answer 200 within {READY_SECONDS:.0f} s")
        time.sleep(0.005)
