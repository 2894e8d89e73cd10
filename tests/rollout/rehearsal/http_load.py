"""A cheap HTTP client for many requests: it pipelines them and counts the responses."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final
from urllib.parse import urlsplit

from tests.support.waiting import eventually

CONNECTIONS: Final = 8
#: The most requests in flight per connection.
PIPELINED: Final = 16


@dataclass
class Responses:
    statuses: Counter[int] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    #: The heads and bodies of the failures, which say whose they are.
    failed: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.statuses.total()

    @property
    def failures(self) -> int:
        return self.total - self.statuses[200] - self.statuses[201]


def request(method: str, path: str, host: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if method in {"POST", "PUT"}:
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


async def send_all(
    gateway: str, requests: Iterable[bytes], connections: int = CONNECTIONS
) -> Responses:
    """Send all requests; fail if a connection is closed before its last response."""
    responses = Responses()
    remaining = iter(requests)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_send(gateway, remaining, responses))
    return responses


async def send(gateway: str, *requests: bytes) -> Responses:
    """Send the requests in order on one new connection."""
    return await send_all(gateway, requests, 1)


async def send_times(gateway: str, count: int, one: bytes) -> Responses:
    return await send_all(gateway, repeat(one, count))


@contextlib.asynccontextmanager
async def sending(
    gateway: str, one: bytes, connections: int = CONNECTIONS
) -> AsyncIterator[Responses]:
    """Send the request repeatedly until the block ends, then read the last responses."""
    responses, ended = Responses(), asyncio.Event()

    def until_ended() -> Iterable[bytes]:
        while not ended.is_set():
            yield one

    remaining = iter(until_ended())
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_send(gateway, remaining, responses, pipelined=1))
        try:
            yield responses
        finally:
            ended.set()


async def wait_for_responses(responses: Responses, count: int) -> None:
    """Wait for a number of responses."""
    await eventually(lambda: responses.total >= count, what=f"{count} responses")


async def _send(
    gateway: str, requests: Iterable[bytes], responses: Responses, pipelined: int = PIPELINED
) -> None:
    address = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        in_flight = 0
        while True:
            while in_flight < pipelined and (one := next(iter(requests), None)) is not None:
                writer.write(one)
                in_flight += 1
            if not in_flight:
                return
            await _read_response(reader, responses)
            in_flight -= 1
    finally:
        writer.close()


async def _read_response(reader: asyncio.StreamReader, responses: Responses) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    status = int(first.split(" ", 2)[1])
    responses.statuses[status] += 1
    if status not in {200, 201}:
        responses.failed.append((head, body))
    responses.tracks[headers.get("kv-track", "")] += 1
    if body:
        responses.bodies.append(body)
