"""What a refusal costs, beside the answer to the same request: CPU time of the service.

Redis is stopped while requests are refused, and as many requests as are served at once wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.frame.processes import running
from bench.frame.program import say
from bench.testbed.http_client import exchange
from bench.testbed.operations import render_request
from bench.testbed.servers import Redis, Service

from .retrying_tiers import Tiers

CONNECTIONS: Final = 64
SETTINGS: Final = {
    "KV_MAX_IN_FLIGHT": str(CONNECTIONS),
    "KV_QUEUE_MS": "0",
    "KV_STORE_TIMEOUT_MS": "60000",
}
#: Answers and refusals take turns, so that a busy moment of the machine affects both.
TURNS: Final = 2
PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one request, in seconds of CPU time."""

    answer: float
    refusal: float

    @property
    def ratio(self) -> float:
        return self.refusal / self.answer

    def attempts_at(self, goodput: float, overload: float) -> float:
        """Return how many attempts a call may make on average until the CPU is no longer enough.

        ``goodput``: of the peak; ``overload``: how many times the peak's calls arrive. In the time
        of one answer, goodput + (attempts * overload - goodput) * ratio must be 1 at most.
        """
        return (1 - goodput * (1 - self.ratio)) / (overload * self.ratio)

    @property
    def note(self) -> str:
        return f"{self.refusal * 1e6:,.0f} of {self.answer * 1e6:,.0f} µs"


async def measure_costs(requests: Mapping[str, bytes], seconds: float) -> dict[str, Costs]:
    """Return the costs of each request; raise BenchError."""
    with running(Redis()) as redis, running(Service(redis.url, SETTINGS)) as service:
        put = render_request("PUT", "/v1/kv/k", b"x" * 1024)
        await asyncio.to_thread(exchange, service.port, put)
        used = {title: [0.0, 0.0] for title in requests}
        sent = {title: [0, 0] for title in requests}

        async def measure(is_refused: int) -> None:
            for title, request in requests.items():
                say(f"{title}: {'refused' if is_refused else 'answered'}")
                cpu, number = await _load(service, request, seconds / TURNS)
                used[title][is_refused] += cpu
                sent[title][is_refused] += number

        for _ in range(TURNS):
            await measure(0)
            async with _full(redis, service):
                await measure(1)
    return {
        title: Costs(*(cpu / number for cpu, number in zip(used[title], sent[title], strict=True)))
        for title in requests
    }


async def _load(service: Service, request: bytes, seconds: float) -> tuple[float, int]:
    """Keep all connections busy. Return the CPU time of the service, and how many were sent."""
    loop = asyncio.get_running_loop()
    tiers = Tiers(service.port, request)

    async def send(until: float) -> None:
        while loop.time() < until:
            await tiers.send(0)

    try:
        # Connecting is no part of it.
        await asyncio.gather(*(send(loop.time() + 0.1) for _ in range(CONNECTIONS)))
        used, before = service.cpu_seconds(), tiers.attempts
        await asyncio.gather(*(send(loop.time() + seconds) for _ in range(CONNECTIONS)))
        return service.cpu_seconds() - used, tiers.attempts - before
    finally:
        tiers.close()


@contextlib.asynccontextmanager
async def _full(redis: Redis, service: Service) -> AsyncIterator[None]:
    """Take all places, with requests that wait for Redis."""
    tiers = Tiers(service.port, render_request("GET", "/v1/kv/k"))
    try:
        with redis.stopped():
            holders = [asyncio.create_task(tiers.send(0)) for _ in range(CONNECTIONS)]
            while not await _refuses(tiers):
                pass
            yield
        await asyncio.gather(*holders)
    finally:
        tiers.close()


async def _refuses(tiers: Tiers) -> bool:
    """Return True if a request is answered although Redis does not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PROBE_SECONDS):
            await tiers.send(0)
            return True
    return False
