"""A Redis of the rehearsal's own: a unix socket nobody else may open, and nothing on the disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .child_process import Child
from .programs import RehearsalFailed, find_redis

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01
#: Each store that the manifests know apart gets a database of its own.
DATABASES: Final = 64


@dataclass(frozen=True, slots=True)
class PrivateRedis:
    """``pid`` is for looking at it, and for tests that take it away."""

    socket: Path
    pid: int

    def url(self, database: int) -> str:
        return f"unix://{self.socket}?db={database}"


@contextlib.asynccontextmanager
async def running_redis(directory: Path) -> AsyncIterator[PrivateRedis]:
    """Run a Redis until the block ends; raise ProgramMissing or RehearsalFailed."""
    socket = directory / "redis.sock"
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "databases": str(DATABASES),
        "appendonly": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    child = await Child.start("redis", [find_redis(), *options], directory / "redis.log")
    try:
        await _wait_answering(child, socket)
        yield PrivateRedis(socket, child.pid)
    finally:
        await child.stop(STOP_SECONDS)


async def _wait_answering(child: Child, socket: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(socket):
                if child.exit_code is not None:
                    raise RehearsalFailed(f"redis-server ended at once: {child.said()}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise RehearsalFailed(
            f"redis-server does not answer after {START_SECONDS:g} s: {child.said()}"
        ) from None


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()
