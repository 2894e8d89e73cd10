"""How late the services' event loops were, from their own metric."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import quantiles
from typing import Final

from ..testbed.restartable import Service, fetch

METRIC: Final = "kv_event_loop_lag_seconds_bucket"
#: A process that is killed takes with it what it observed since the last look.
LOOK_SECONDS: Final = 1.0
#: Of the service's own look at its loop.
PERIOD_SECONDS: Final = 0.05

#: Observations at most that late, by bound in seconds.
Buckets = Mapping[float, float]


def read_buckets(exposition: str) -> dict[float, float]:
    buckets = {}
    for line in exposition.splitlines():
        series, _, count = line.partition(" # ")[0].rpartition(" ")
        name, _, labels = series.partition("{")
        if name == METRIC:
            bound = labels.partition('le="')[2].partition('"')[0]
            buckets[float(bound)] = float(count)
    return buckets


def quantile(buckets: Buckets, part: float) -> float:
    """Return the quantile as Prometheus' histogram_quantile() does; 0 without observations."""
    bounds = sorted(buckets)
    rank = part * buckets[bounds[-1]] if bounds else 0.0
    if rank == 0:
        return 0.0
    for low, high in pairwise([0.0, *bounds]):
        if buckets[high] >= rank:
            if high == float("inf"):
                return low
            below = buckets.get(low, 0.0)
            return low + (high - low) * (rank - below) / (buckets[high] - below)
    raise AssertionError("the last bucket holds all")


class Witness:
    """How late this machine wakes anybody: a thread that only sleeps, at the metric's pace."""

    def __init__(self) -> None:
        self.late_seconds: list[float] = []
        self._over = threading.Event()

    @property
    def p99_seconds(self) -> float:
        if len(self.late_seconds) < 2:
            return 0.0
        return quantiles(self.late_seconds, n=100)[-1]

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sleep, name="witness")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _sleep(self) -> None:
        due = time.perf_counter() + PERIOD_SECONDS
        while not self._over.wait(max(0.0, due - time.perf_counter())):
            now = time.perf_counter()
            self.late_seconds.append(max(0.0, now - due))
            due = now + PERIOD_SECONDS


class LagMeter:
    """Sums what several services observe, also when they are started anew in between."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._last: dict[int, Buckets] = {}
        self._sum: dict[float, float] = {}

    @property
    def p99_seconds(self) -> float:
        return quantile(self._sum, 0.99)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Count what is observed within the block."""
        await self._look(counts=False)
        task = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._look()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self, *, counts: bool = True) -> None:
        for i, service in enumerate(self._services):
            try:
                text = (await fetch(service.admin_port, "/metrics")).decode()
            except (OSError, TimeoutError):
                continue
            buckets = read_buckets(text)
            if counts and buckets:
                self.add(i, buckets)
            self._last[i] = buckets

    def add(self, service: int, buckets: Buckets) -> None:
        """Count the difference to the last look; all of it when the process is another now."""
        last = self._last.get(service, {})
        if any(buckets.get(bound, 0) < count for bound, count in last.items()):
            last = {}
        for bound, count in buckets.items():
            self._sum[bound] = self._sum.get(bound, 0) + count - last.get(bound, 0)
