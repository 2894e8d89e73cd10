"""A Redis process for the rehearsal: on a private unix socket, without persistence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from .child_process import Child
from .executables import find_redis

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 2.0
#: Each store that the manifests distinguish gets a database of its own.
DATABASES: Final = 64


@dataclass(frozen=True, slots=True)
class PrivateRedis:
    """The address of the rehearsal's Redis."""

    socket: Path

    def url(self, database: int) -> str:
        """Return the URL of a database, 0 to ``DATABASES`` - 1."""
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
    child = await Child.start("redis-server", [find_redis(), *options], directory / "redis.log")
    try:
        await child.wait_ready(partial(_responds, socket), START_SECONDS)
        yield PrivateRedis(socket)
    finally:
        await child.stop(STOP_SECONDS)


async def _responds(socket: Path) -> bool:
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
