"""SIGTERM while it is asked 200 times a second: nothing fails, no span is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.frame.processes import BenchError, Cores
from bench.frame.report import Row, say
from bench.testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_redis,
    running_tallykv,
)
from bench.testbed.spans import read_spans

from . import limits
from .options import Options
from .rows import percent_row, row

PER_SECOND: Final = 200
#: How often a mesh would look whether a pod wants traffic.
PROBE_SECONDS: Final = 0.5
#: How long to go on asking the one that stays.
AFTER_SECONDS: Final = 1.0
GIVE_UP_SECONDS: Final = 30.0


@dataclass
class Client:
    """Asks whoever wants traffic, on connections that it keeps as long as the service does."""

    target: Server
    idle: dict[int, deque[_Streams]] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    traces: set[str] = field(default_factory=set)

    async def ask(self, trace_id: str) -> None:
        """Increment a counter, sampled; a failure is remembered, not raised."""
        port = self.target.port
        try:
            async with asyncio.timeout(5):
                status = await self._exchange(port, trace_id)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.answers[status] += 1
        if status == 200:
            self.traces.add(trace_id)
        else:
            self.failures.append(f"status {status}")

    async def _exchange(self, port: int, trace_id: str) -> int:
        streams = await self._streams(port)
        reader, writer = streams
        writer.write(
            b"POST /v1/counters/stopping/increments HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Length: 0\r\ntraceparent: 00-%b-00f067aa0ba902b7-01\r\n\r\n"
            % trace_id.encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            writer.close()
        else:
            self.idle.setdefault(port, deque()).append(streams)
        return int(head.split(b" ", 2)[1])

    async def _streams(self, port: int) -> _Streams:
        idle = self.idle.get(port)
        while idle:
            streams = idle.pop()
            if not streams[0].at_eof():
                return streams
            streams[1].close()
        return await asyncio.open_connection("127.0.0.1", port)

    def close(self) -> None:
        for streams in self.idle.values():
            for _, writer in streams:
                writer.close()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def measure_stopping(options: Options, server: Cores, aside: Cores, directory: Path) -> list[Row]:
    file = directory / "stopping.spans"
    with running_redis(aside) as redis, running_collector(aside, file) as collector:
        url = f"redis://127.0.0.1:{redis.port}"
        # The drain is the default one, as in a cluster.
        signals = {**all_signals(collector), "KV_DRAIN_SECONDS": "5"}
        with (
            running_tallykv(url, server, **signals) as leaving,
            running_tallykv(url, server, **signals) as staying,
        ):
            say(f"stopping: {PER_SECOND} requests a second, SIGTERM to one of two services")
            client, seconds = asyncio.run(_replace(leaving, staying, options.before_stop_seconds))
            staying.process.stop()
        delivered = {span.trace_id for span in read_spans(file) if span.is_server}
    total = sum(client.answers.values()) + len(client.failures)
    if client.failures:
        say(f"stopping: first failures: {client.failures[:3]}")
    return [
        row(
            "SIGTERM: requests failed",
            len(client.failures),
            limits.NONE,
            beside=f"of {total:,} at {PER_SECOND} a second",
        ),
        percent_row(
            "SIGTERM: sampled server spans delivered",
            len(delivered & client.traces),
            len(client.traces),
            limits.ALL,
        ),
        row(
            "SIGTERM: seconds until it ended",
            seconds,
            limits.EXIT_SECONDS,
            shown=f"{seconds:.2f}",
            beside="5 are the drain",
        ),
    ]


async def _replace(leaving: Server, staying: Server, before_seconds: float) -> tuple[Client, float]:
    """Ask one until it wants no more, then the other; return the client and how long it took."""
    client = Client(leaving)
    asking = asyncio.create_task(_keep_asking(client))
    try:
        await asyncio.sleep(before_seconds)
        os.kill(leaving.process.pid, signal.SIGTERM)
        since = time.monotonic()
        while await _is_ready(leaving):
            if time.monotonic() - since > GIVE_UP_SECONDS:
                raise BenchError("/readyz still answers 200 after SIGTERM")
            await asyncio.sleep(PROBE_SECONDS)
        client.target = staying
        while leaving.process.is_alive():
            if time.monotonic() - since > GIVE_UP_SECONDS:
                raise BenchError(f"it has not ended {GIVE_UP_SECONDS:.0f} s after SIGTERM")
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - since
        await asyncio.sleep(AFTER_SECONDS)
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        client.close()
    return client, seconds


async def _keep_asking(client: Client) -> None:
    """Ask at the set pace, however long the answers take; at the end wait for all of them."""
    draw = random.Random()
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with asyncio.TaskGroup() as group:
        waits: set[asyncio.Task[None]] = set()
        try:
            while True:
                task = group.create_task(client.ask(f"{draw.getrandbits(128) | 1:032x}"))
                waits.add(task)
                task.add_done_callback(waits.discard)
                due += 1 / PER_SECOND
                await asyncio.sleep(max(0.0, due - loop.time()))
        except asyncio.CancelledError:
            if waits:
                await asyncio.wait(waits)
            raise


async def _is_ready(server: Server) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.admin_port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
