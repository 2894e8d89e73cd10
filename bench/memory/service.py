"""One service for each attack, and what it cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.frame.program import Part, Run
from bench.frame.rows import Row
from bench.testbed.http_client import exchange
from bench.testbed.operations import render_request
from bench.testbed.servers import PATIENT, Redis, Service

from . import limits
from .attacks import ATTACKS, PREPARED
from .clients import attack, probing

SAMPLE_SECONDS: Final = 0.01
BASELINE_SECONDS: Final = 1.0
#: How long the service may take to give its memory back.
SETTLE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Sizes:
    requests: int = 2000


class _Peak:
    """The most resident memory of the service, sampled in a thread."""

    def __init__(self, service: Service) -> None:
        self.mib = 0.0
        self._service = service
        self._is_over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            self.mib = max(self.mib, self._service.resident_mib())


def part_of(name: str) -> Part[Sizes]:
    """Return the part that measures this attack."""

    def measure(run: Run[Sizes]) -> list[Row]:
        with running(Redis()) as redis, running(Service(redis.url, PATIENT)) as service:
            for method, path, body, headers in PREPARED:
                status, _ = exchange(service.port, render_request(method, path, body, headers))
                if status not in {200, 201}:
                    raise BenchError(f"{method} {path} got {status}")
            return asyncio.run(_measure(name, service, run.sizes.requests))

    return measure


async def _measure(name: str, service: Service, requests: int) -> list[Row]:
    async with probing(service.port) as alone:
        await asyncio.sleep(BASELINE_SECONDS)
    idle, peak = service.resident_mib(), _Peak(service)
    with peak.watching():
        async with probing(service.port) as meanwhile:
            outcomes = await attack(service.port, ATTACKS[name], requests)
    await asyncio.sleep(SETTLE_SECONDS)
    left = service.resident_mib()
    answers = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    return [
        Row("peak over idle", peak.mib - idle, "MiB", limits.PEAK_MIB, f"idle {idle:.0f}"),
        Row("left over idle", (left / idle - 1) * 100, "%", limits.LEFT_PERCENT, f"{left:.0f} MiB"),
        Row(
            "other clients, p99",
            meanwhile.p99_ms,
            "ms",
            limits.PROBE_P99_MS,
            f"without the attack {alone.p99_ms:.1f}",
        ),
        Row("other clients, refused", meanwhile.refused, "", limits.PROBES_REFUSED, answers),
    ]
