"""A client that sends ten times its rate to three pods, which share its permits in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

from bench.frame.processes import running
from bench.frame.program import Run
from bench.frame.rows import Row, at_least, at_most
from bench.testbed.operations import render_request
from bench.testbed.servers import PATIENT, Redis, Service

from .sizes import Sizes

RATE: Final = 50
PODS: Final = 3
#: Clients at each pod, and how often each of them sends in a second.
CLIENTS: Final = 4
GET: Final = render_request("GET", "/v1/kv/none")


def press(run: Run[Sizes]) -> Iterator[Row]:
    """Yield how far the requests that were let in are from the limit."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(Redis(cores=run.load_cores)))
        settings = {**PATIENT, "KV_RATE_LIMITS": f"read={RATE}/s"}
        ports = [
            stack.enter_context(running(Service(server.url, settings, run.server_cores))).port
            for _ in range(PODS)
        ]
        allowed, sent, seconds = asyncio.run(_send(ports, run.sizes.seconds))
    # All permits at once, and then those that come back.
    limit = RATE + RATE * seconds
    yield Row("sent, in times of the rate", sent / (RATE * seconds), "", at_least(5))
    error = abs(allowed - limit) / limit * 100
    yield Row("error of the limit", error, "%", at_most(1), f"{allowed} of {limit:.1f}")


async def _send(ports: list[int], seconds: float) -> tuple[int, int, float]:
    """Return how many were let in, how many were sent, and the seconds from first to last."""
    pause = PODS * CLIENTS / (10 * RATE)
    allowed: list[float] = []
    sent = 0
    ends = time.monotonic() + seconds

    async def client(port: int) -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = time.monotonic()
        while time.monotonic() < ends:
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
            await reader.readexactly(length)
            sent += 1
            if b" 404 " in head[:20]:
                allowed.append(time.monotonic())
            due = max(due + pause, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.close()

    await asyncio.gather(*(client(port) for port in ports for _ in range(CLIENTS)))
    return len(allowed), sent, allowed[-1] - allowed[0]
