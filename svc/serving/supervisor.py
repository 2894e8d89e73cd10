"""``serve --workers N``: one process a core on one port, started again when it dies.

A worker is a fresh interpreter and no fork: threads, the loop and what was random in the parent
can't leak into it, and one that comes back is like one that came first. The kernel deals new
connections out among those that listen (SO_REUSEPORT). The embedded store belongs to the
supervisor and is shared.
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

from ..settings import Settings, flag_name
from ..stores.embedded import EmbeddedRedis
from ..stores.opening import build_link, embedded_socket, mode_of
from .server import ListenFailed, stop_on_signals

#: A worker that lived as long has settled: what ends it afterwards is no part of a crash loop.
SETTLED_SECONDS: Final = 10.0
#: So many lives in a row that were shorter end the supervisor.
SHORT_LIVES: Final = 5
#: The pause before a dead worker's successor, doubled with each short life after the first.
BACK_OFF_SECONDS: Final = 0.1
#: What a worker may take beyond its drain and shutdown: the last spans, the last lines.
SLACK_SECONDS: Final = 10.0
#: The exit code of a process that could not start and has said why.
CANT_START: Final = 2

#: Called once all the workers serve, with the traffic port and the admin ports.
AnnounceAll = Callable[[int, Sequence[int]], None]

log = logging.getLogger(__name__)


class WorkersFailed(RuntimeError):
    """The workers can't be kept alive; ``code`` is what to exit with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


async def supervise(settings: Settings, command: Sequence[str], announce: AnnounceAll) -> None:
    """Keep ``settings.workers`` workers serving until SIGTERM or SIGINT, then drain all at once.

    ``command`` starts one; its own flags are appended. A second signal ends everything at once.
    Raises ListenFailed, StoreUrlInvalid, EmbeddedUnavailable, WorkersFailed.
    """
    crew: list[Worker] = []
    stop = asyncio.Event()

    def end_at_once() -> None:
        for worker in crew:
            worker.kill()

    stop_on_signals(stop, end_at_once)
    _check_admin_ports(settings)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port(settings.host, settings.port))
        flags = {"workers": "1", "port": str(port)}
        if mode_of(settings.store_url) != "embedded":
            build_link(settings.store_url)  # so that one process says what is wrong with it
        elif not embedded_socket(settings.store_url):
            redis = await stack.enter_async_context(EmbeddedRedis(settings.data_dir))
            flags["store_url"] = f"embedded:{redis.socket}"
        for number in range(settings.workers):
            admin_port = settings.admin_port and settings.admin_port + number
            crew.append(Worker(number + 1, [*command, *_flags(flags, admin_port)]))
        await _keep_all(settings, crew, stop, lambda: announce(port, [w.admin_port for w in crew]))


async def _keep_all(
    settings: Settings, crew: Sequence[Worker], stop: asyncio.Event, announce: Callable[[], None]
) -> None:
    async def begin() -> None:
        for worker in crew:
            await worker.serving.wait()
        announce()

    keepers = [asyncio.create_task(worker.keep()) for worker in crew]
    beginning, stopping = asyncio.create_task(begin()), asyncio.create_task(stop.wait())
    # A keeper returns only once it was released, and raises when it gives up.
    ended, _ = await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
    for task in (beginning, stopping):
        task.cancel()
    for worker in crew:
        worker.release()
    _, late = await asyncio.wait(
        keepers, timeout=settings.drain_seconds + settings.shutdown_seconds + SLACK_SECONDS
    )
    if late:
        for worker in crew:
            worker.kill()
        await asyncio.wait(keepers)
    failures = [failure for keeper in keepers if (failure := keeper.exception())]
    # What came first is the cause: the others may have failed of being drained for it.
    causes = [failure for keeper in keepers if keeper in ended and (failure := keeper.exception())]
    for failure in (*causes, *failures):
        raise failure


class Worker:
    """A place among the workers, and the process that has it."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self.admin_port = 0
        #: Set once the first process serves.
        self.serving = asyncio.Event()
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._tether: asyncio.StreamWriter | None = None
        self._released = asyncio.Event()

    async def keep(self) -> None:
        """Have a process in this place until released. Raises WorkersFailed."""
        loop = asyncio.get_running_loop()
        short_lives = 0
        while True:
            started = loop.time()
            code = await self._live()
            if self._released.is_set():
                if code != 0:
                    raise WorkersFailed(f"worker {self.number} ended with {code} in the drain", 1)
                return
            if code == CANT_START and not self.serving.is_set():
                raise WorkersFailed(f"worker {self.number} can't start", CANT_START)
            short_lives = short_lives + 1 if loop.time() - started < SETTLED_SECONDS else 0
            if short_lives == SHORT_LIVES:
                raise WorkersFailed(
                    f"worker {self.number} ended {SHORT_LIVES} times in a row within"
                    f" {SETTLED_SECONDS:g} s of its start, the last time with {code}",
                    1,
                )
            delay = BACK_OFF_SECONDS * 2 ** max(0, short_lives - 1)
            log.error(
                "worker ended, starting another",
                extra={"worker": self.number, "code": code, "in_seconds": delay},
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._released.wait()
                return

    async def _live(self) -> int:
        """Run one process from start to end, return its exit code; negative: a signal's number."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    f"--tether={theirs.fileno()}",
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C in a terminal reaches the whole group, and this process passes it on.
                    start_new_session=True,
                )
            reader, self._tether = await asyncio.open_unix_connection(sock=ours)
        except OSError as error:  # no room for a process: it may come back
            ours.close()
            log.warning("worker can't be started", extra={"reason": str(error)})
            return os.EX_OSERR
        if self._released.is_set():
            self._tether.close()
        if said := await _line_of(reader):
            self.admin_port = int(said)
            if self.serving.is_set():
                log.info(
                    "worker serves again",
                    extra={"worker": self.number, "admin_port": self.admin_port},
                )
            self.serving.set()
        code = await self._process.wait()
        self._tether.close()
        return code

    def release(self) -> None:
        """Have the process drain and end, and none come after it."""
        self._released.set()
        if self._tether is not None:
            self._tether.close()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    """Return what a worker says; nothing when it ended, or was released, before."""
    with contextlib.suppress(OSError):
        return await reader.readline()
    return b""


@contextlib.contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Hold the traffic port for sockets that share it, without listening; 0 takes a free one.

    Raises ListenFailed, also when another process listens there and would share the port as well:
    half of the requests would be answered by a stranger.
    """
    with contextlib.ExitStack() as held:
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                with _bound(family, kind, protocol, (address[0], port), shared=False) as probe:
                    port = probe.getsockname()[1]
                held.enter_context(_bound(family, kind, protocol, (address[0], port), shared=True))
        except OSError as error:
            raise ListenFailed(f"KV_PORT: {host}:{port} can't be bound: {error.strerror}") from None
        yield port


def _bound(
    family: int, kind: int, protocol: int, address: tuple[str | int, int], *, shared: bool
) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # as asyncio does
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
    whose = f"KV_ADMIN_PORT: the workers' ports, {settings.admin_port} to {last},"
    if last > 65535:
        raise ListenFailed(f"{whose} go beyond 65535")
    if settings.admin_port <= settings.port <= last:
        raise ListenFailed(f"{whose} include KV_PORT")


def _flags(flags: dict[str, str], admin_port: int) -> list[str]:
    given = {**flags, "admin_port": str(admin_port)}
    return [f"{flag_name(name)}={value}" for name, value in given.items()]
