"""The embedded redis-server process: started, watched, restarted when it ends, stopped at the end.

It listens on a private unix socket and keeps the data in an append-only file.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
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

from ... import parent_death_signal
from . import data_directory
from .append_only_file import cut_incomplete_transaction
from .binary import EmbeddedUnavailable, find_redis_server
from .data_format import format_of
from .server_log import ServerLog

# The name that log lines show stays when the module is moved.
log = logging.getLogger(__package__)

#: The longest path of a unix socket that every system accepts, in bytes.
MAX_SOCKET_PATH: Final = 100
#: How long a redis-server may take to answer at all, and to answer again while it loads.
START_SECONDS: Final = 10.0
LOADING_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
#: A redis-server that serves for less than this counts towards a crash loop; so many of them in a
#: row end the service.
MIN_UPTIME_SECONDS: Final = 10.0
MAX_SHORT_RUNS: Final = 5
#: How often progress is logged while the data are loaded, and the log's size checked.
PROGRESS_SECONDS: Final = 5.0
LOG_CHECK_SECONDS: Final = 10.0


class State(enum.StrEnum):
    """What an embedded redis-server does. After ``failed`` the service ends."""

    STARTING = "starting"
    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"


class EmbeddedRedis:
    """A redis-server on ``data_dir``, as an async context manager.

    Entering returns while it starts: see serving(). It is restarted when it ends, and stopped on
    exit. If it can't be started, or not again, the task that entered is cancelled, and exiting
    raises EmbeddedUnavailable. Entering raises it too.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.state = State.STARTING
        self._binary = ""
        self._log = ServerLog(self.data_dir / "redis.log")
        self._lock = -1
        self._process: asyncio.subprocess.Process | None = None
        self._owner: asyncio.Task[object] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._served = asyncio.Event()
        self._failure: EmbeddedUnavailable | None = None
        self._private_dir: str | None = None
        self.socket = self.data_dir / "redis.sock"

    async def serving(self) -> None:
        """Wait until the redis-server has loaded its data and serves for the first time."""
        await self._served.wait()

    async def __aenter__(self) -> Self:
        with self._failures_explained():
            self._lock = await data_directory.take(self.data_dir)
            try:
                self._binary = find_redis_server(format_of(self.data_dir))
            except BaseException:
                os.close(self._lock)
                raise
            if len(os.fsencode(self.socket)) > MAX_SOCKET_PATH:
                self._private_dir = tempfile.mkdtemp(prefix="tallykv-")
                self.socket = Path(self._private_dir) / "redis.sock"
        self._owner = asyncio.current_task()
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
            await asyncio.wait([self._keeper])
        await self._stop()
        with contextlib.suppress(OSError):
            self.socket.unlink()
        if self._private_dir is not None:
            shutil.rmtree(self._private_dir, ignore_errors=True)
        os.close(self._lock)
        if self._failure is not None and kind is asyncio.CancelledError:
            if self._owner is not None:
                self._owner.uncancel()
            raise self._failure from None

    @contextlib.contextmanager
    def _failures_explained(self) -> Iterator[None]:
        """Turn what the system refuses, such as a full disk, into EmbeddedUnavailable."""
        try:
            yield
        except OSError as error:
            where = self.data_dir if error.filename is None else error.filename
            raise EmbeddedUnavailable(
                f"KV_DATA_DIR: {where}: {error.strerror or error}", has_served=self._served.is_set()
            ) from None

    async def _keep(self) -> None:
        """Run the redis-server, again and again. If that can't be, cancel the owner."""
        loop = asyncio.get_running_loop()
        short_runs = 0
        try:
            while True:
                started = loop.time()
                try:
                    await self._run_once()
                except EmbeddedUnavailable as error:
                    if not self._served.is_set() or short_runs + 1 == MAX_SHORT_RUNS:
                        raise
                    log.warning("embedded redis-server can't start", extra={"reason": str(error)})
                short_runs = short_runs + 1 if loop.time() - started < MIN_UPTIME_SECONDS else 0
                if short_runs == MAX_SHORT_RUNS:
                    raise self._ended()
                await asyncio.sleep(0.05 * 2**short_runs)
        except EmbeddedUnavailable as error:
            self.state = State.FAILED
            # Without its traceback, which would make a cycle with this frame.
            self._failure = error.with_traceback(None)
            if self._owner is not None:
                self._owner.cancel()

    async def _run_once(self) -> None:
        """Start the redis-server, and wait until it has loaded its data, and until it ends."""
        self.state = State.STARTING
        with self._failures_explained():
            aof = data_directory.growing_aof(self.data_dir)
            cut = await cut_incomplete_transaction(aof, self._binary) if aof is not None else 0
            sizes = data_directory.aof_sizes(self.data_dir)
            process = await self._start()
            await self._wait_until_loaded(process)
            if cut := cut + self._log.bytes_cut(sizes):
                log.warning(
                    "the append-only file ended in the middle of a command, and the rest was cut"
                    " off",
                    extra={"bytes_cut": cut},
                )
        self.state = State.SERVING
        self._served.set()
        ended = asyncio.ensure_future(process.wait())
        while not ended.done():
            await asyncio.wait([ended], timeout=LOG_CHECK_SECONDS)
            with contextlib.suppress(OSError):
                self._log.bound()
        self.state = State.STARTING
        log.error("embedded redis-server ended, starting it again", extra={"code": ended.result()})

    async def _start(self) -> asyncio.subprocess.Process:
        self.socket.unlink(missing_ok=True)
        launcher = (sys.executable, "-I", "-S", parent_death_signal.__file__)
        output = self._log.open()
        try:
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
        finally:
            os.close(output)
        return self._process

    async def _wait_until_loaded(self, process: asyncio.subprocess.Process) -> None:
        """Wait until redis-server says that it has loaded its data. Raises EmbeddedUnavailable.

        It accepts connections before it reads its files, and ends if it can't read them. While it
        reads, it answers INFO only now and then.
        """
        loop = asyncio.get_running_loop()
        answered = told = loop.time()
        patience = START_SECONDS
        while process.returncode is None:
            loaded = await self._ask_progress(answered + patience)
            if loaded == 1:
                return
            if loaded is not None:
                self.state = State.LOADING
                answered, patience = loop.time(), LOADING_SECONDS
                if answered > told + PROGRESS_SECONDS:
                    told = answered
                    log.info("embedded redis-server is loading", extra={"loaded_ratio": loaded})
            elif loop.time() > answered + patience:
                process.kill()
                raise self._ended(f"did not answer within {patience:g} s")
            await asyncio.sleep(0.01 if self.state is State.STARTING else 0.1)
        said = f": {self._log.last_warning()}" if process.returncode > 0 else ""
        raise self._ended(f"ended with code {process.returncode} while it was {self.state}{said}")

    def _ended(self, what: str = "ended again and again") -> EmbeddedUnavailable:
        return EmbeddedUnavailable(
            f"redis-server {what} (see {self._log.path})",
            has_served=self._served.is_set(),
        )

    async def _ask_progress(self, deadline: float) -> float | None:
        """Return the loaded part of the data, 1 if all are loaded; None without an answer."""
        try:
            async with asyncio.timeout_at(deadline):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    writer.write(b"INFO persistence\r\n")
                    header = await reader.readline()
                    if not header.startswith(b"$"):
                        return None
                    info = await reader.readexactly(int(header[1:]))
                finally:
                    writer.close()
        except (OSError, TimeoutError, EOFError, ValueError):
            return None
        if b"\nloading:0\r" in info:
            return 1.0
        percent = re.search(rb"loading_loaded_perc:([0-9.]+)", info)
        # All bytes may be read before the data are ready.
        return min(float(percent[1]) / 100, 0.9999) if percent else 0.0

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
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
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    for name, value in settings.items():
        yield f"--{name}"
        yield value
