"""Services and Redis servers as processes that can be killed, paused, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.frame.processes import ROOT, BenchError, free_port
from bench.testbed.servers import program

READY_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02


class Program:
    """A process of ours; what it prints goes to a file of its own."""

    def __init__(self, command: Sequence[str], log: Path, environ: dict[str, str]) -> None:
        self.command = list(command)
        self._log = log
        self._environ = environ
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise BenchError(f"{self.command[0]} does not run")
        return self._popen.pid

    def spawn(self) -> None:
        """Start it, without waiting until it serves."""
        # A service's settings in the caller's shell would change what is measured.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KV_", "OTEL_"))}
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**inherited, **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal reaches the harness alone, which ends what it started.
                start_new_session=True,
            )

    def check_alive(self) -> None:
        """Raise BenchError, with its last words, when it has ended by itself."""
        if self._popen is not None and self._popen.poll() is not None:
            words = self._log.read_bytes()[-2000:].decode("utf-8", "replace")
            raise BenchError(f"{self.command!r} ended with {self._popen.returncode}: {words}")

    def cpu_seconds(self) -> float:
        """Return what it has used, user and system, all threads."""
        # The process's CPU clock, as clock_getcpuclockid(3) names it.
        return time.clock_gettime((~self.pid << 3) | 2)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it has ended; raise BenchError when it takes longer."""
        give_up = time.monotonic() + seconds
        while self._popen is not None and self._popen.poll() is None:
            if time.monotonic() > give_up:
                raise BenchError(f"{self.command!r} does not end")
            await asyncio.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End it at once, whatever state it is in."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None


class Service(Program):
    """``python -m svc serve``."""

    def __init__(self, directory: Path, store_url: str, **settings: str) -> None:
        self.port, self.admin_port = free_port(), free_port()
        environ = {
            "KV_STORE_URL": store_url,
            "KV_HOST": "127.0.0.1",
            "KV_PORT": str(self.port),
            "KV_ADMIN_PORT": str(self.admin_port),
            "KV_DRAIN_SECONDS": "0",
            **settings,
        }
        log = directory / f"service-{self.port}.log"
        super().__init__([sys.executable, "-m", "svc", "serve"], log, environ)

    async def start(self) -> None:
        """Start it and wait until it is ready; raise BenchError."""
        self.spawn()
        await until(self._is_ready, self, "is not ready")

    async def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            return b" 200 " in (await fetch(self.admin_port, "/readyz"))[:20]
        return False


class Redis(Program):
    """A redis-server on loopback."""

    def __init__(self, directory: Path, *options: str, host: str = "127.0.0.1") -> None:
        self.port = _port_of_two()
        self.host = host
        directory.mkdir(parents=True, exist_ok=True)
        command = [
            program("redis-server", "redis-server"),
            *("--port", str(self.port), "--bind", host, "--dir", str(directory)),
            *("--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
            *("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        super().__init__(command, directory / "redis.log", {})

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it answers, all it keeps loaded; raise BenchError."""
        self.spawn()
        await self.answering()

    async def answering(self) -> None:
        async def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(await self.ask("PING"))
            return False

        await until(answers, self, "does not answer")

    async def ask(self, *words: object, seconds: float = 5.0) -> Any:
        """Send one command behind the service's back; raises redis.RedisError."""
        return await asyncio.to_thread(ask_redis, self.port, *words, seconds=seconds)


def ask_redis(port: int, *words: object, seconds: float = 5.0) -> Any:
    with contextlib.closing(
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0), socket_timeout=seconds)
    ) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


async def until(is_so: Any, who: Program, complaint: str, seconds: float = READY_SECONDS) -> None:
    """Ask the coroutine function until it says yes; raise BenchError when it takes too long."""
    give_up = time.monotonic() + seconds
    while not await is_so():
        who.check_alive()
        if time.monotonic() > give_up:
            raise BenchError(f"{who.command[0]} {complaint} after {seconds:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


async def fetch(port: int, path: str, seconds: float = 5.0) -> bytes:
    """Return what a GET is answered, head and body; raises OSError, TimeoutError."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
            )
            return await reader.read()
        finally:
            writer.close()


def _port_of_two() -> int:
    """Return a free port whose neighbour 10,000 above is free: a Cluster's servers use both."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 10_000))
            return port


@contextlib.contextmanager
def ending(*programs: Program) -> Iterator[None]:
    """End them when the block does, whatever happens in it."""
    try:
        yield
    finally:
        for each in programs:
            each.kill()


@contextlib.asynccontextmanager
async def running_redis(directory: Path, *options: str) -> AsyncIterator[Redis]:
    server = Redis(directory / "redis", *options)
    with ending(server):
        await server.start()
        yield server


@contextlib.asynccontextmanager
async def running_services(
    directory: Path, store_url: str, count: int = 1, **settings: str
) -> AsyncIterator[list[Service]]:
    services = [Service(directory, store_url, **settings) for _ in range(count)]
    with ending(*services):
        await asyncio.gather(*(each.start() for each in services))
        yield services
