"""``serve --workers N``: worker processes that share one port, restarted when they end or hang.

Each worker is a new interpreter, not a fork, so it inherits no threads, event loop or random state.
A restarted worker starts in the same state as the first one. The kernel distributes new connections
among the workers (SO_REUSEPORT). The supervisor runs the embedded store, and the workers share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from ..app import password_source
from ..settings import Settings, flag_name
from ..stores.embedded import EmbeddedRedis
from ..stores.store_url import build_link, embedded_socket, mode_of
from .server import ListenFailed, explain_bind_error, happens_first
from .stop_order import StopOrder
from .worker import Worker

#: The time that a worker has after its drain and shutdown, to flush spans and log lines.
FLUSH_SECONDS: Final = 10.0

#: Called once all workers serve, with the traffic port and the admin ports.
AnnounceAll = Callable[[int, Sequence[int]], None]


async def supervise(settings: Settings, command: Sequence[str], announce: AnnounceAll) -> None:
    """Keep ``settings.workers`` workers serving until SIGTERM or SIGINT, then drain them together.

    ``command`` starts a worker; each worker's own flags are appended. A later signal kills all.
    Raises ListenFailed, StoreUrlInvalid, EmbeddedUnavailable, WorkersFailed.
    """
    workers: list[Worker] = []
    stop = StopOrder()

    def kill_all() -> None:
        for worker in workers:
            worker.kill()

    stop.accept_signals(kill_all)
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
    settings: Settings, workers: Sequence[Worker], stop: StopOrder, announce: Callable[[], None]
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
        worker.drain(is_interrupt=stop.is_interrupt)
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
        except (OSError, UnicodeError) as error:
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
