"""The embedded store's data directory: created, locked for one service at a time, and checked."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .binary import EmbeddedUnavailable
from .data_format import AOF_DIRECTORY

#: How long to wait for the lock while the redis-server of a killed service still shuts down.
LOCK_SECONDS: Final = 10.0
_NUMBERED: Final = re.compile(r"\.(\d+)\.incr\.aof$")
#: How the names begin that this service and redis-server open in the directory.
_OURS: Final = ("appendonly", "dump.", "lock", "redis.", "temp-")


async def take(data_dir: Path) -> int:
    """Create, lock and check the directory. Return the lock file's descriptor.

    redis-server inherits the descriptor, so the lock lasts until both processes have ended.
    Raises EmbeddedUnavailable.
    """
    _make(data_dir)
    descriptor = _open_lock(data_dir)
    try:
        await _lock(descriptor, data_dir)
        _make_private(data_dir)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def aof_sizes(data_dir: Path) -> dict[str, int]:
    """Return the sizes of the append-only files, in bytes, by name."""
    return {
        path.name: path.stat().st_size
        for path in _files(data_dir)
        if path.suffix == ".aof" and path.is_file()
    }


def growing_aof(data_dir: Path) -> Path | None:
    """Return the append-only file that redis-server appends to; None if there is none."""
    numbered = {
        int(number[1]): path
        for path in _files(data_dir)
        if (number := _NUMBERED.search(path.name)) is not None
    }
    if numbered:
        return numbered[max(numbered)]
    single = data_dir / "appendonly.aof"
    return single if single.is_file() else None


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"KV_DATA_DIR: {data_dir} can't be made: {error.strerror}"
        ) from None


def _files(data_dir: Path) -> Iterator[Path]:
    """Return the files in the directory that the service or redis-server opens."""
    for path in data_dir.iterdir():
        if path.name.startswith(_OURS):
            yield path
            if path.name == AOF_DIRECTORY and path.is_dir() and not path.is_symlink():
                yield from path.iterdir()


def _make_private(data_dir: Path) -> None:
    """Take the files' permissions from all others: the directory may be open to them.

    Refuse symbolic links: whoever made one could have the service overwrite a file elsewhere.
    """
    for path in _files(data_dir):
        if path.is_symlink() and path.name != "redis.sock":  # which is unlinked
            raise EmbeddedUnavailable(f"KV_DATA_DIR: {path} is a symbolic link: remove it")
        with contextlib.suppress(PermissionError):  # somebody else's, and made readable for us
            if path.is_file():
                path.chmod(0o600)
            elif path.is_dir():
                path.chmod(0o700)


def _open_lock(data_dir: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(data_dir / "lock", flags, 0o600)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"KV_DATA_DIR: {data_dir} can't be written to: {error.strerror}"
        ) from None


async def _lock(descriptor: int, data_dir: Path) -> None:
    """Lock the file. Closing the descriptor releases the lock.

    If the process that took the lock has ended, wait up to LOCK_SECONDS.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    while not _try_lock(descriptor):
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        if _is_alive(owner) or loop.time() > deadline:
            raise EmbeddedUnavailable(
                f"the data directory {data_dir} is in use by another tallykv"
                f" (process {owner or 'unknown'}): stop it, or choose another KV_DATA_DIR"
            )
        await asyncio.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
