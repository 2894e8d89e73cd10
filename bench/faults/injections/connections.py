"""Faults of connections: too many, idle, slow or aborted clients, and no free one to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Iterator
from typing import Final

from bench.consistency.client import Client
from bench.consistency.linearizability import Operation
from bench.consistency.workload import TEXT, Workload
from bench.frame.program import Run
from bench.testbed.crowd import allow_open_files
from bench.testbed.http_client import exchange
from bench.testbed.operations import render_request
from bench.testbed.servers import Service

from ..experiment import Fault, Sizes, Target
from ..network_proxy import NetworkProxy
from .setups import System, behind_proxy, on_redis

MERGE_PATCH: Final = {"Content-Type": "application/merge-patch+json"}
#: Four times as many as the service has connections to one Redis.
SWAPPERS: Final = 256
#: Each way: long enough that all connections are in use, short enough for the deadline.
POOL_DELAY_SECONDS: Final = 0.15
SLOW_CLIENTS: Final = 50
LARGE_BYTES: Final = 1_000_000
SLOW_PERIOD_SECONDS: Final = 0.2
#: Connections opened at a time: the backlog of the listener.
GROUP: Final = 200
LIMITS: Final = render_request("GET", "/v1/limits")


async def exhaust_pool(proxy: NetworkProxy, system: System, workload: Workload) -> None:
    proxy.delay_seconds = POOL_DELAY_SECONDS
    client = Client([system.services[0].port])
    end = _end_of_fault(system)
    try:
        await asyncio.gather(*(_create_until(end, client, workload, n) for n in range(SWAPPERS)))
    finally:
        await client.close()


def _end_of_fault(system: System) -> float:
    """Return the time of the loop at which the fault ends."""
    return asyncio.get_running_loop().time() + system.sizes.fault_seconds


async def _create_until(end: float, client: Client, workload: Workload, number: int) -> None:
    """Create entries one after the other. Conditional writes do not share round trips."""
    for round_ in itertools.count():
        if asyncio.get_running_loop().time() >= end:
            return
        key = f"{workload.prefix}/pool-{number}-{round_}"
        value = f"{key}|p|0"
        reply = await client.send("PUT", f"/v1/kv/{key}", value.encode(), {"If-None-Match": "*"})
        workload.history.outcomes[reply.outcome] += 1
        if reply.outcome == "refused":
            workload.history.refused.add(value)
            missing = Operation("read", reply.returned, reply.returned, None)
            workload.history.add(key, missing)
        else:
            is_known = reply.outcome == "acknowledged"
            times = reply.called, reply.returned
            workload.history.add(key, Operation("cas", *times, value, None, is_known=is_known))


def setup_idle(run: Run[Sizes]) -> contextlib.AbstractAsyncContextManager[Target]:
    allow_open_files(run.sizes.idle_connections + 500)
    return on_redis(open_idle)(run)


async def open_idle(system: System, _workload: Workload) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(0, system.sizes.idle_connections, GROUP):
            await asyncio.to_thread(_open_group, stack, system.services[0])
        await asyncio.sleep(system.sizes.fault_seconds)


def _open_group(stack: contextlib.ExitStack, service: Service) -> None:
    """Open connections that send one request and stay open."""
    for _ in range(GROUP):
        connection = socket.create_connection(("127.0.0.1", service.port), 5)
        stack.callback(connection.close)
        connection.sendall(LIMITS)


async def read_slowly(system: System, _workload: Workload) -> None:
    large = render_request("PUT", "/v1/kv/large", b"x" * LARGE_BYTES)
    await asyncio.to_thread(exchange, system.services[0].port, large)
    end = _end_of_fault(system)
    await asyncio.gather(*(_read_slowly(system.services[0], end) for _ in range(SLOW_CLIENTS)))


async def write_slowly(system: System, _workload: Workload) -> None:
    end = _end_of_fault(system)
    await asyncio.gather(*(_write_slowly(system.services[0], end) for _ in range(SLOW_CLIENTS)))


async def _read_slowly(service: Service, end: float) -> None:
    """Read a large entry, 100 bytes at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    try:
        writer.write(render_request("GET", "/v1/kv/large"))
        while asyncio.get_running_loop().time() < end:
            await reader.read(100)
            await asyncio.sleep(SLOW_PERIOD_SECONDS)
    finally:
        writer.transport.abort()


async def _write_slowly(service: Service, end: float) -> None:
    """Send a body byte by byte, never all of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(
            b"PUT /v1/kv/dripped HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n"
        )
        while asyncio.get_running_loop().time() < end:
            writer.write(b"x")
            await asyncio.sleep(SLOW_PERIOD_SECONDS)
    finally:
        writer.transport.abort()


async def abort_requests(system: System, workload: Workload) -> None:
    end = _end_of_fault(system)
    for number in itertools.count():
        if asyncio.get_running_loop().time() >= end:
            return
        for request in _every_method(workload, number):
            await _abort(system.services[0], request, number)
        await asyncio.sleep(0.02)


def _every_method(workload: Workload, number: int) -> Iterator[bytes]:
    """Yield a request of each method, and record it with an unknown outcome.

    Those of every third number are never sent completely, and are recorded as refused.
    """
    history, now = workload.history, asyncio.get_running_loop().time()
    counter = workload.counters("plain")[number % 2]
    key = f"{workload.prefix}/aborted-{number % 10}"
    value = f"{key}|a|{number}"
    yield render_request("GET", f"/v1/kv/{workload.shared()[0]}")
    yield render_request("HEAD", f"/v1/kv/{workload.shared()[0]}")
    if _is_complete(number):
        history.counter(counter).unknown += 1
        history.add(key, Operation("write", now, now, value, is_known=False))
        history.outcomes["unknown"] += 2
    else:
        history.refused.add(value)
        history.outcomes["refused"] += 2
    yield render_request("POST", f"/v1/counters/{counter}/increments")
    yield render_request("PUT", f"/v1/kv/{key}", value.encode(), TEXT)
    patched = f"{workload.prefix}/aborted-patched"
    yield render_request("PATCH", f"/v1/kv/{patched}", b'{"n":1}', MERGE_PATCH)
    yield render_request("DELETE", f"/v1/kv/{workload.prefix}/aborted-deleted")


def _is_complete(number: int) -> bool:
    return number % 3 != 0


async def _abort(service: Service, request: bytes, number: int) -> None:
    """Send the request, or half of it, and abort the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(request if _is_complete(number) else request[: len(request) // 2])
        await writer.drain()
        # In some cases the service has begun by then.
        await asyncio.sleep(0.001 * (number % 4))
    finally:
        writer.transport.abort()


FAULTS: Final = (
    Fault(
        "pool-exhausted",
        f"pool: {SWAPPERS} want one of 64 connections",
        behind_proxy(exhaust_pool),
    ),
    Fault("idle-connections", "clients: 10,000 idle connections (quick: 2,000)", setup_idle),
    Fault("slow-readers", f"clients: {SLOW_CLIENTS} read slowly", on_redis(read_slowly)),
    Fault("slow-writers", f"clients: {SLOW_CLIENTS} write slowly", on_redis(write_slowly)),
    Fault("clients-gone", "clients: abort requests of each method", on_redis(abort_requests)),
)
