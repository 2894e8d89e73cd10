"""The embedded redis-server process: started, restarted when it ends, stopped with the service.

It listens on a private unix socket and keeps the data in an append-only file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ... import parent_death_signal
from . import data_directory
from .binary import EmbeddedUnavailable, find_redis_server

# The name that log lines show stays when the module is moved.
log = logging.getLogger(__package__)

#: The longest path of a unix socket that every system accepts, in bytes.
MAX_SOCKET_PATH: Final = 100
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 10.0


class EmbeddedRedis:
    """A redis-server on ``data_dir``, as an async context manager.

    Entering returns once it answers; it is restarted whenever it ends, and stopped on exit.
    Raises EmbeddedUnavailable.
    """

    def __init__(self, data_dir: Path, binary: str | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self._binary = binary or find_redis_server()
        self._lock = -1
        self._process: asyncio.subprocess.Process
        self._restarter: asyncio.Task[None] | None = None
        self._private_dir: str | None = None
        self.socket = self.data_dir / "redis.sock"

    async def __aenter__(self) -> Self:
        data_directory.prepare(self.data_dir, self._binary)
        self._lock = await data_directory.lock(self.data_dir)
        if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH:
            self._private_dir = tempfile.mkdtemp(prefix="tallykv-")
            self.socket = Path(self._private_dir) / "redis.sock"
        await self._start()
        try:
            await self._wait_until_answering(START_SECONDS)
        except EmbeddedUnavailable:
            await self.__aexit__(None, None, None)
            raise
        self._restarter = asyncio.create_task(self._restart_when_ended())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._restarter is not None:
            self._restarter.cancel()
        await self._stop()
        self.socket.unlink(missing_ok=True)
        if self._private_dir is not None:
            shutil.rmtree(self._private_dir, ignore_errors=True)
        os.close(self._lock)

    async def _start(self) -> None:
        self.socket.unlink(missing_ok=True)
        launcher = (sys.executable, "-I", "-S", parent_death_signal.__file__)
        with (self.data_dir / "redis.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(*launcher, str(os.getpid()), self._binary),
                *_arguments(self.data_dir, self.socket),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # After kill -9 of this service, the next one waits until redis-server has ended.
                pass_fds=(self._lock,),
                # Ctrl-C in a terminal signals the whole process group; this service stops
                # redis-server itself, after the last request.
                start_new_session=True,
            )

    async def _wait_until_answering(self, seconds: float) -> None:
        """Wait until redis-server answers a PING. Raises EmbeddedUnavailable.

        Accepting a connection is not enough: redis-server accepts before it reads its files, and
        ends if it can't read them. The error reply LOADING counts as an answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            if self._process.returncode is not None:
                raise EmbeddedUnavailable(
                    f"redis-server ended at once: see {self.data_dir / 'redis.log'}"
                )
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    writer.write(b"PING\r\n")
                    async with asyncio.timeout_at(deadline):
                        if await reader.readline():
                            return
                finally:
                    writer.close()
            await asyncio.sleep(0.01)
        raise EmbeddedUnavailable(
            f"redis-server does not listen after {seconds:g} s: see {self.data_dir / 'redis.log'}"
        )

    async def _restart_when_ended(self) -> None:
        delay = 0.05
        while True:
            started = asyncio.get_running_loop().time()
            code = await self._process.wait()
            log.error("embedded redis-server ended, starting it again", extra={"code": code})
            lived = asyncio.get_running_loop().time() - started
            delay = 0.05 if lived > 10 else min(delay * 2, 5.0)
            await self._restart(delay)

    async def _restart(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            try:
                await self._start()
            except OSError as error:  # out of processes or disk space, which may pass
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
