"""Many requests through a gateway, cheaply: written ahead on a few connections, answers counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final
from urllib.parse import urlsplit

CONNECTIONS: Final = 8
#: Requests written before an answer was read, per connection.
AHEAD: Final = 16


@dataclass
class Seen:
    statuses: Counter[int] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def answers(self) -> int:
        return self.statuses.total()

    @property
    def failures(self) -> int:
        return self.answers - self.statuses[200] - self.statuses[201]


def request(method: str, path: str, host: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if method in {"POST", "PUT"}:
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


async def flood(gateway: str, requests: Iterable[bytes], connections: int = CONNECTIONS) -> Seen:
    """Send all of them; a connection that is cut fails the test."""
    seen = Seen()
    waiting = iter(requests)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_converse(gateway, waiting, seen))
    return seen


async def ask(gateway: str, *requests: bytes) -> Seen:
    """Send them one after the other, on one new connection."""
    return await flood(gateway, requests, 1)


async def times(gateway: str, count: int, one: bytes) -> Seen:
    return await flood(gateway, repeat(one, count))


@contextlib.asynccontextmanager
async def flooding(gateway: str, one: bytes, connections: int = CONNECTIONS) -> AsyncIterator[Seen]:
    """Send the request over and over until the block ends, then read the last answers."""
    seen, going = Seen(), [True]

    def on_and_on() -> Iterable[bytes]:
        while going[0]:
            yield one

    waiting = iter(on_and_on())
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_converse(gateway, waiting, seen, ahead=1))
        try:
            yield seen
        finally:
            going[0] = False


async def until_answers(seen: Seen, count: int) -> None:
    """Return once so many were answered; the caller has a deadline."""
    while seen.answers < count:  # noqa: ASYNC110 - what is waited for is a plain number
        await asyncio.sleep(0.002)


async def _converse(
    gateway: str, requests: Iterable[bytes], seen: Seen, ahead: int = AHEAD
) -> None:
    address = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        owed = 0
        more: Callable[[], bytes | None] = lambda: next(iter(requests), None)  # noqa: E731
        while True:
            while owed < ahead and (one := more()) is not None:
                writer.write(one)
                owed += 1
            if not owed:
                return
            await _read_answer(reader, seen)
            owed -= 1
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader, seen: Seen) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    seen.statuses[int(first.split(" ", 2)[1])] += 1
    seen.tracks[headers.get("kv-track", "")] += 1
    if body:
        seen.bodies.append(body)
