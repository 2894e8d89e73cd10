"""``serve --workers N``: worker processes that share one port, restarted when they end.

Each worker is a new interpreter, not a fork, so it inherits no threads, event loop or random state.
A restarted worker starts in the same state as the first one. The kernel distributes new connections
among the workers (SO_REUSEPORT). The supervisor runs the embedded store, and the workers share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from ..app import password_source
from ..settings import Settings, flag_name
from ..stores.embedded import EmbeddedRedis
from ..stores.store_url import build_link, embedded_socket, mode_of
from .server import ListenFailed, explain_bind_error, happens_first, stop_on_signals

#: A worker that runs for less than this counts towards a crash loop.
MIN_UPTIME_SECONDS: Final = 10.0
#: This many short runs of one worker in a row end the supervisor.
MAX_SHORT_RUNS: Final = 5
#: The pause before a restart, doubled after each further short run.
BACK_OFF_SECONDS: Final = 0.1
#: The time that a worker has after its drain and shutdown, to flush spans and log lines.
FLUSH_SECONDS: Final = 10.0
#: The exit code of a process that could not start and has printed the reason.
CANT_START: Final = 2

#: Called once all workers serve, with the traffic port and the admin ports.
AnnounceAll = Callable[[int, Sequence[int]], None]

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__name__.partition('.')[0]}.supervisor")


class WorkersFailed(RuntimeError):
    """The workers can't be kept running; ``code`` is the exit code to use."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


async def supervise(settings: Settings, command: Sequence[str], announce: AnnounceAll) -> None:
    """Keep ``settings.workers`` workers serving until SIGTERM or SIGINT, then drain them together.

    ``command`` starts a worker; each worker's own flags are appended. A second signal kills all.
    Raises ListenFailed, StoreUrlInvalid, EmbeddedUnavailable, WorkersFailed.
    """
    workers: list[Worker] = []
    stop = asyncio.Event()

    def kill_all() -> None:
        for worker in workers:
            worker.kill()

    stop_on_signals(stop, kill_all)
    _check_admin_ports(settings)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port(settings.host, settings.port))
        flags = {"workers": "1", "port": str(port)}
        if mode_of(settings.store_url) != "embedded":
            # An invalid URL or password file is reported once, not by every worker.
            build_link(settings.store_url, password=password_source(settings))
        elif not embedded_socket(settings.store_url):
            redis = await stack.enter_async_context(EmbeddedRedis(settings.data_dir))
            if not await happens_first(redis.serving(), stop.wait()):
                return
            flags["store_url"] = f"embedded:{redis.socket}"
        for number in range(settings.workers):
            admin_port = settings.admin_port and settings.admin_port + number
            workers.append(Worker(number + 1, [*command, *_flags(flags, admin_port)]))
        await _run_all(
            settings, workers, stop, lambda: announce(port, [w.admin_port for w in workers])
        )


async def _run_all(
    settings: Settings, workers: Sequence[Worker], stop: asyncio.Event, announce: Callable[[], None]
) -> None:
    async def announce_when_serving() -> None:
        for worker in workers:
            await worker.serving.wait()
        announce()

    runs = [asyncio.create_task(worker.run()) for worker in workers]
    announcing = asyncio.create_task(announce_when_serving())
    stopping = asyncio.create_task(stop.wait())
    # A run ends only after drain(), or with WorkersFailed.
    ended, _ = await asyncio.wait([stopping, *runs], return_when=asyncio.FIRST_COMPLETED)
    for task in (announcing, stopping):
        task.cancel()
    for worker in workers:
        worker.drain()
    _, late = await asyncio.wait(
        runs, timeout=settings.drain_seconds + settings.shutdown_seconds + FLUSH_SECONDS
    )
    if late:
        for worker in workers:
            worker.kill()
        await asyncio.wait(runs)
    failures = [failure for run in runs if (failure := run.exception())]
    # The first failure is the cause. The others may have failed while they drained because of it.
    causes = [failure for run in runs if run in ended and (failure := run.exception())]
    for failure in (*causes, *failures):
        raise failure


class Worker:
    """One worker, number 1 to N: its process, restarted when it ends."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self.admin_port = 0
        #: Set once its first process serves.
        self.serving = asyncio.Event()
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._channel: asyncio.StreamWriter | None = None
        self._draining = asyncio.Event()

    async def run(self) -> None:
        """Run and restart the process until drain() is called. Raises WorkersFailed."""
        loop = asyncio.get_running_loop()
        short_runs = 0
        while True:
            started = loop.time()
            code = await self._run_once()
            if self._draining.is_set():
                if code != 0:
                    raise WorkersFailed(f"worker {self.number} ended with {code} in the drain", 1)
                return
            if code == CANT_START and not self.serving.is_set():
                raise WorkersFailed(f"worker {self.number} can't start", CANT_START)
            short_runs = short_runs + 1 if loop.time() - started < MIN_UPTIME_SECONDS else 0
            if short_runs == MAX_SHORT_RUNS:
                raise WorkersFailed(
                    f"worker {self.number} ended {MAX_SHORT_RUNS} times in a row within"
                    f" {MIN_UPTIME_SECONDS:g} s of its start, the last time with {code}",
                    1,
                )
            delay = BACK_OFF_SECONDS * 2 ** max(0, short_runs - 1)
            log.error(
                "worker ended, starting another",
                extra={"worker": self.number, "code": code, "in_seconds": delay},
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._draining.wait()
                return

    async def _run_once(self) -> int:
        """Start a process and wait for its end. Return its exit code, negative after a signal."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    f"--channel={theirs.fileno()}",
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C in a terminal signals the whole process group; only this process is to
                    # receive it, and drains the workers.
                    start_new_session=True,
                )
            reader, self._channel = await asyncio.open_unix_connection(sock=ours)
        except OSError as error:  # out of processes or memory, which may pass
            ours.close()
            log.warning("worker can't be started", extra={"reason": str(error)})
            return os.EX_OSERR
        if self._draining.is_set():
            self._channel.close()
        if line := await _line_of(reader):
            self.admin_port = int(line)
            if self.serving.is_set():
                log.info(
                    "worker serves again",
                    extra={"worker": self.number, "admin_port": self.admin_port},
                )
            self.serving.set()
        code = await self._process.wait()
        self._channel.close()
        return code

    def drain(self) -> None:
        """Tell the process to drain and end, and start no other."""
        self._draining.set()
        if self._channel is not None:
            self._channel.close()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    """Return the line that a worker sends; b"" if it ends or has to drain before it sends one."""
    with contextlib.suppress(OSError):
        return await reader.readline()
    return b""


@contextlib.contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Bind the traffic port with SO_REUSEPORT, without listening. Port 0 takes a free one.

    Yield the port. Raises ListenFailed, also if a foreign process listens there with SO_REUSEPORT:
    the kernel would give that process a part of the requests.
    """
    with contextlib.ExitStack() as sockets:
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                with _bound(family, kind, protocol, (address[0], port), shared=False) as probe:
                    port = probe.getsockname()[1]
                sockets.enter_context(
                    _bound(family, kind, protocol, (address[0], port), shared=True)
                )
        except OSError as error:
            raise ListenFailed(explain_bind_error("KV_PORT", host, port, error)) from None
        yield port


def _bound(
    family: int, kind: int, protocol: int, address: tuple[str | int, int], *, shared: bool
) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # as asyncio does for its listeners
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _check_admin_ports(settings: Settings) -> None:
    if settings.admin_port == 0:
        return
    last = settings.admin_port + settings.workers - 1
    ports = f"KV_ADMIN_PORT: the workers' ports, {settings.admin_port} to {last},"
    if last > 65535:
        raise ListenFailed(f"{ports} go beyond 65535")
    if settings.admin_port <= settings.port <= last:
        raise ListenFailed(f"{ports} include KV_PORT")


def _flags(flags: dict[str, str], admin_port: int) -> list[str]:
    given = {**flags, "admin_port": str(admin_port)}
    return [f"{flag_name(name)}={value}" for name, value in given.items()]
