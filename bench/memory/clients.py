"""Clients that attack, and one that measures how others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from bench.frame.errors import BenchError
from bench.testbed.operations import render_request

from .attacks import Attack

CLIENTS: Final = 64
PROBE_SECONDS: Final = 0.01
#: How long a client that does not read keeps its connection, and one pauses that sends slowly.
PAUSE_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 60.0
PROBE: Final = render_request("GET", "/v1/kv/small")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Probes:
    """What the other client's GETs got."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0

    async def wait_for_two(self) -> None:
        """Wait for two answers: a short attack may be over before. p99_ms raises without them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(self.seconds) < 2:  # noqa: ASYNC110 - the answers come one by one
                    await asyncio.sleep(PROBE_SECONDS)

    @property
    def p99_ms(self) -> float:
        if len(self.seconds) < 2:
            raise BenchError("the service answered hardly any other request")
        # Inclusive: of few answers, the other method would return more than the slowest took.
        return quantiles(self.seconds, n=100, method="inclusive")[-1] * 1000


async def attack(port: int, attack: Attack, requests: int) -> Counter[str]:
    """Send so many requests at CLIENTS connections; return the outcomes by status or end."""
    outcomes: Counter[str] = Counter()
    left = iter(range(requests))
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(_client(port, attack, left, outcomes))
    if unexpected := {name for name in outcomes if name.isdigit()} - set(map(str, attack.statuses)):
        raise BenchError(f"unexpected answers: {', '.join(sorted(unexpected))}")
    return outcomes


async def _client(port: int, attack: Attack, left: Iterator[int], outcomes: Counter[str]) -> None:
    for _ in left:
        async with _connected(port) as streams:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    outcomes[await _send(attack, streams)] += 1
            except (OSError, asyncio.IncompleteReadError):
                # Refused before the whole body was sent: the reset overtakes the answer.
                outcomes["closed"] += 1
            except TimeoutError:
                outcomes["no answer"] += 1


async def _send(attack: Attack, streams: Streams) -> str:
    _, writer = streams
    request = attack.request
    if attack.end == "cut":
        writer.write(request[: len(request) * 3 // 4])
        await asyncio.sleep(PAUSE_SECONDS)
        return "cut"
    if attack.end == "slow":
        for at in range(0, len(request), len(request) // 4 + 1):
            writer.write(request[at : at + len(request) // 4 + 1])
            await asyncio.sleep(PAUSE_SECONDS)
    else:
        writer.write(request)
    if attack.end == "deaf":
        await asyncio.sleep(PAUSE_SECONDS * 10)
        return "deaf"
    status, _ = await _answer(streams)
    return str(status)


async def _answer(streams: Streams) -> tuple[int, int]:
    """Return the status and the size of the body of an answer."""
    head = await streams[0].readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    size = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
    left = size
    while left:
        part = await streams[0].read(min(left, 1 << 18))
        if not part:
            raise ConnectionResetError
        left -= len(part)
    return int(lines[0].split()[1]), size


@contextlib.asynccontextmanager
async def _connected(port: int) -> AsyncIterator[Streams]:
    streams = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield streams
    finally:
        streams[1].transport.abort()


@contextlib.asynccontextmanager
async def probing(port: int) -> AsyncIterator[Probes]:
    """Send a small GET every PROBE_SECONDS on a connection of its own, until the block ends."""
    probes = Probes()
    async with _connected(port) as streams:
        task = asyncio.create_task(_probe(streams, probes))
        try:
            yield probes
        finally:
            task.cancel()
            await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _probe(streams: Streams, probes: Probes) -> None:
    while True:
        began = time.perf_counter()
        streams[1].write(PROBE)
        status, _ = await _answer(streams)
        probes.seconds.append(time.perf_counter() - began)
        probes.refused += status != 200
        await asyncio.sleep(PROBE_SECONDS)
