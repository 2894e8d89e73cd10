"""The embedded store's data directory: created, checked and locked for one service at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from .binary import EmbeddedUnavailable, server_version

#: How long to wait for the lock while the redis-server of a killed service still shuts down.
LOCK_SECONDS: Final = 10.0


def prepare(data_dir: Path, binary: str) -> None:
    """Create the directory, and check that this redis-server can read the data in it.

    Raises EmbeddedUnavailable.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"KV_DATA_DIR: {data_dir} can't be made: {error.strerror}"
        ) from None
    # Redis 7 keeps its append-only file in a directory. Redis 6 would ignore that directory and
    # start without the data.
    version = server_version(binary)
    if (data_dir / "appendonlydir").is_dir() and version and version < (7,):
        raise EmbeddedUnavailable(
            f"the data in {data_dir} was written by Redis 7 or later, and {binary}"
            f" is {'.'.join(map(str, version))}: install redis-server 7, or choose another"
            " KV_DATA_DIR"
        )


async def lock(data_dir: Path) -> int:
    """Lock the directory and return the lock file's descriptor; closing it releases the lock.

    redis-server inherits the descriptor, so the lock lasts until both processes have ended. If the
    process that took the lock has ended, wait up to LOCK_SECONDS. Raises EmbeddedUnavailable.
    """
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"KV_DATA_DIR: {data_dir} can't be written to: {error.strerror}"
        ) from None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if _is_alive(owner) or loop.time() > deadline:
                os.close(descriptor)
                raise EmbeddedUnavailable(
                    f"the data directory {data_dir} is in use by another tallykv"
                    f" (process {owner or 'unknown'}): stop it, or choose another KV_DATA_DIR"
                ) from None
            await asyncio.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _is_alive(pid: str) -> bool:
    # In a container every service is process 1, so our own pid names an earlier, ended process.
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
