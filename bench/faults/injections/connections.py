"""Too many connections, or bad ones: idle, slow, gone in the middle, and none left to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

from ...consistency.client import Client
from ...consistency.linearizability import Access
from ...consistency.workload import Workload
from ...testbed.restartable import Service, running_redis, running_services
from ..network_proxy import running_network
from ..scenes import Fault, Ground, Scene, Unavailable

#: As many as the service has connections to one Redis, and three times that waiting for one.
SWAPPERS: Final = 256
#: Each way: long enough for all connections to be taken, short enough for the first to answer.
POOL_DELAY_SECONDS: Final = 0.15
SLOW_CLIENTS: Final = 50
LARGE_BYTES: Final = 1_000_000
DRIP_SECONDS: Final = 0.2
#: Opened at a time: what the listener's backlog holds.
GROUP: Final = 200
ASKED: Final = b"GET /v1/limits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextlib.asynccontextmanager
async def pool_exhausted(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_network(redis.port) as network,
        running_services(ground.directory, f"redis://127.0.0.1:{network.port}") as services,
    ):

        async def strike(workload: Workload) -> None:
            network.delay_seconds = POOL_DELAY_SECONDS
            client = Client([services[0].port])
            over = asyncio.get_running_loop().time() + ground.fault_seconds
            try:
                await asyncio.gather(
                    *(_swap_until(over, client, workload, n) for n in range(SWAPPERS))
                )
            finally:
                await client.close()
            network.mend()

        yield Scene(services, strike)


async def _swap_until(over: float, client: Client, workload: Workload, number: int) -> None:
    """Create an entry of its own, again and again: conditional writes share no round trip."""
    for round_ in itertools.count():
        if asyncio.get_running_loop().time() >= over:
            return
        key = f"{workload.prefix}/pool-{number}-{round_}"
        value = f"{key}|p|0"
        told = await client.ask("PUT", f"/v1/kv/{key}", value.encode(), {"If-None-Match": "*"})
        workload.history.outcomes[told.outcome] += 1
        if told.outcome == "refused":
            workload.history.refused.add(value)
            workload.history.saw(key, Access("read", told.returned, told.returned, None))
        else:
            is_known = told.outcome == "acknowledged"
            access = Access("swap", told.called, told.returned, value, None, is_known=is_known)
            workload.history.saw(key, access)


@contextlib.asynccontextmanager
async def idle(ground: Ground) -> AsyncIterator[Scene]:
    _allow_files(ground.idle_connections + 500)
    async with (
        running_redis(ground.directory) as redis,
        running_services(ground.directory, redis.url) as services,
    ):

        async def strike(_workload: Workload) -> None:
            with contextlib.ExitStack() as stack:
                for _ in range(0, ground.idle_connections, GROUP):
                    await asyncio.to_thread(_open_idle, stack, services[0])
                await asyncio.sleep(ground.fault_seconds)

        yield Scene(services, strike)


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise Unavailable(f"a process may open {hard} files here, {count} are needed")
        # Inherited by the service, which needs as many.
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _open_idle(stack: contextlib.ExitStack, service: Service) -> None:
    """Open connections that have asked once and are kept."""
    for _ in range(GROUP):
        connection = socket.create_connection(("127.0.0.1", service.port), 5)
        stack.callback(connection.close)
        connection.sendall(ASKED)


@contextlib.asynccontextmanager
async def slow_clients(ground: Ground, *, reads: bool) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_services(ground.directory, redis.url) as services,
    ):
        service = services[0]
        client = Client([service.port])
        await client.ask("PUT", "/v1/kv/large", b"x" * LARGE_BYTES)
        await client.close()

        async def strike(_: Workload) -> None:
            slow = _read_slowly if reads else _write_slowly
            over = asyncio.get_running_loop().time() + ground.fault_seconds
            await asyncio.gather(*(slow(service, over) for _ in range(SLOW_CLIENTS)))

        yield Scene(services, strike)


async def _read_slowly(service: Service, over: float) -> None:
    """Ask for a large entry and leave it lying."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    try:
        writer.write(b"GET /v1/kv/large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while asyncio.get_running_loop().time() < over:
            await reader.read(100)
            await asyncio.sleep(DRIP_SECONDS)
    finally:
        writer.transport.abort()


async def _write_slowly(service: Service, over: float) -> None:
    """Send a body byte by byte, and never all of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(
            b"PUT /v1/kv/dripped HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n"
        )
        while asyncio.get_running_loop().time() < over:
            writer.write(b"x")
            await asyncio.sleep(DRIP_SECONDS)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def gone(ground: Ground) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_services(ground.directory, redis.url) as services,
    ):

        async def strike(workload: Workload) -> None:
            over = asyncio.get_running_loop().time() + ground.fault_seconds
            for number in itertools.count():
                if asyncio.get_running_loop().time() >= over:
                    return
                for request in _every_verb(workload, number):
                    await _leave(services[0], request, number)
                await asyncio.sleep(0.02)

        yield Scene(services, strike)


def _every_verb(workload: Workload, number: int) -> Iterator[bytes]:
    """Give a request of each verb, written down as one whose outcome nobody will know.

    Those of every third number are never sent whole, so that nothing may come of them.
    """
    history, now = workload.history, asyncio.get_running_loop().time()
    counter = workload.counters("plain")[number % 2]
    key = f"{workload.prefix}/gone-{number % 10}"
    value = f"{key}|g|{number}"
    yield _request("GET", f"/v1/kv/{workload.shared()[0]}")
    yield _request("HEAD", f"/v1/kv/{workload.shared()[0]}")
    if _is_whole(number):
        history.tally(counter).unknown += 1
        history.saw(key, Access("write", now, now, value, is_known=False))
        history.outcomes["unknown"] += 2
    else:
        history.refused.add(value)
        history.outcomes["refused"] += 2
    yield _request("POST", f"/v1/counters/{counter}/increments")
    yield _request("PUT", f"/v1/kv/{key}", value.encode())
    patched = f"{workload.prefix}/gone-patched"
    yield _request("PATCH", f"/v1/kv/{patched}", b'{"n":1}', "application/merge-patch+json")
    yield _request("DELETE", f"/v1/kv/{workload.prefix}/gone-deleted")


def _is_whole(number: int) -> bool:
    return number % 3 != 0


def _request(method: str, path: str, body: bytes = b"", kind: str = "text/plain") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _leave(service: Service, request: bytes, number: int) -> None:
    """Send it, whole or in part, and be gone."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(request if _is_whole(number) else request[: len(request) // 2])
        await writer.drain()
        # Sometimes the service has begun by then, sometimes not.
        await asyncio.sleep(0.001 * (number % 4))
    finally:
        writer.transport.abort()


FAULTS: Final = (
    Fault(
        name="pool-exhausted",
        title=f"pool: {SWAPPERS} want one of 64 connections",
        scene=pool_exhausted,
    ),
    Fault(
        name="idle-connections",
        title="clients: 10,000 idle connections (quick: 2,000)",
        scene=idle,
    ),
    Fault(
        name="slow-readers",
        title=f"clients: {SLOW_CLIENTS} read slowly",
        scene=partial(slow_clients, reads=True),
    ),
    Fault(
        name="slow-writers",
        title=f"clients: {SLOW_CLIENTS} write slowly",
        scene=partial(slow_clients, reads=False),
    ),
    Fault(name="clients-gone", title="clients: gone in the middle of each verb", scene=gone),
)
