"""Services and Redis servers that can be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench.frame.errors import BenchError
from bench.frame.processes import ChildProcess, find_program, free_port, killed_at_end

from .servers import tallykv_environ

READY_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02


class Service(ChildProcess):
    """``python -m svc serve``."""

    def __init__(self, directory: Path, store_url: str, **settings: str) -> None:
        self.port, self.admin_port = free_port(), free_port()
        environ = tallykv_environ(store_url, self.port, self.admin_port, settings)
        log = directory / f"service-{self.port}.log"
        super().__init__([sys.executable, "-m", "svc", "serve"], log, environ)

    async def start_ready(self) -> None:
        """Start it and wait until it is ready; raise BenchError."""
        self.start()
        await wait_until(self._is_ready, self, "is not ready")

    async def wait_for_end(self) -> None:
        """Wait until it has ended; raise BenchError."""
        deadline = time.monotonic() + READY_SECONDS
        while self.is_alive():
            if time.monotonic() > deadline:
                raise BenchError(f"{self.command!r} does not end")
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            return b" 200 " in (await fetch(self.admin_port, "/readyz"))[:20]
        return False


class Redis(ChildProcess):
    """A redis-server on loopback."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = _port_with_cluster_bus()
        directory.mkdir(parents=True, exist_ok=True)
        command = [
            find_program("redis-server"),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)),
            *("--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
            *("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        super().__init__(command, directory / "redis.log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start_ready(self) -> None:
        """Start it and wait until it has loaded its data and answers; raise BenchError."""
        self.start()
        await self.wait_for_answer()

    async def wait_for_answer(self) -> None:
        async def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(await self.execute("PING"))
            return False

        await wait_until(answers, self, "does not answer")

    async def execute(self, *words: object, seconds: float = 5.0) -> Any:
        """Run one command on a connection of its own; raise redis.RedisError."""
        return await asyncio.to_thread(execute, self.port, *words, seconds=seconds)


def execute(port: int, *words: object, seconds: float = 5.0) -> Any:
    """Run one command of Redis; raise redis.RedisError."""
    with contextlib.closing(
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0), socket_timeout=seconds)
    ) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


async def wait_until(
    condition: Callable[[], Awaitable[bool]], process: ChildProcess, complaint: str
) -> None:
    """Poll the condition until it is true; raise BenchError after READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    while not await condition():
        process.check_alive()
        if time.monotonic() > deadline:
            raise BenchError(f"{process.command[0]} {complaint} after {READY_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


async def fetch(port: int, path: str) -> bytes:
    """Return the head and body of the answer to a GET; raise OSError, TimeoutError."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
            )
            return await reader.read()
        finally:
            writer.close()


def _port_with_cluster_bus() -> int:
    """Return a free port P where P + 10,000 is free too: Redis Cluster uses both."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 10_000))
            return port


@contextlib.asynccontextmanager
async def restartable_redis(directory: Path, *options: str) -> AsyncIterator[Redis]:
    """Run a Redis until the block ends."""
    server = Redis(directory / "redis", *options)
    with killed_at_end(server):
        await server.start_ready()
        yield server


@contextlib.asynccontextmanager
async def restartable_services(
    directory: Path, store_url: str, count: int = 1, **settings: str
) -> AsyncIterator[list[Service]]:
    """Run services on one store until the block ends."""
    services = [Service(directory, store_url, **settings) for _ in range(count)]
    with killed_at_end(*services):
        await asyncio.gather(*(each.start_ready() for each in services))
        yield services
