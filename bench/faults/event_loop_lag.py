"""The lag of the services' event loops, from their own metric, and that of the machine."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import quantiles
from typing import Final

from bench.testbed.scrape import Scrape, scrape
from bench.testbed.servers import Service

METRIC: Final = 'kv_event_loop_lag_seconds_bucket{le="'
#: A process that is killed loses what it observed since the last scrape.
SCRAPE_SECONDS: Final = 1.0
#: The period at which the service observes the lag of its loop.
PERIOD_SECONDS: Final = 0.05

#: Cumulative counts by upper bound in seconds.
Buckets = Mapping[float, float]


def parse_buckets(scrape: Scrape) -> dict[float, float]:
    return {
        float(series.removeprefix(METRIC).split('"')[0]): count
        for series, count in scrape.samples.items()
        if series.startswith(METRIC)
    }


def histogram_quantile(quantile: float, buckets: Buckets) -> float:
    """Return the same as PromQL's histogram_quantile(); 0 without observations."""
    bounds = sorted(buckets)
    rank = quantile * buckets[bounds[-1]] if bounds else 0.0
    if rank == 0:
        return 0.0
    for low, high in pairwise([0.0, *bounds]):
        if buckets[high] >= rank:
            if high == float("inf"):
                return low
            below = buckets.get(low, 0.0)
            return low + (high - low) * (rank - below) / (buckets[high] - below)
    raise AssertionError("the last bucket contains all observations")


class MachineLag:
    """How late this machine wakes a thread that only sleeps, at the period of the metric."""

    def __init__(self) -> None:
        self._lags: list[float] = []
        self._is_over = threading.Event()

    @property
    def p99_seconds(self) -> float:
        return quantiles(self._lags, n=100)[-1] if len(self._lags) > 1 else 0.0

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sleep, name="machine-lag")
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _sleep(self) -> None:
        due = time.perf_counter() + PERIOD_SECONDS
        while not self._is_over.wait(max(0.0, due - time.perf_counter())):
            now = time.perf_counter()
            self._lags.append(max(0.0, now - due))
            due = now + PERIOD_SECONDS


class EventLoopLag:
    """The sum of several services' histograms, across restarts of the services."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._last: dict[int, Buckets] = {}
        self._sum: dict[float, float] = {}

    @property
    def p99_seconds(self) -> float:
        return histogram_quantile(0.99, self._sum)

    @contextlib.asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """Count the observations within the block."""
        await self._scrape(counts=False)
        task = asyncio.create_task(self._scrape_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._scrape()

    async def _scrape_forever(self) -> None:
        while True:
            await asyncio.sleep(SCRAPE_SECONDS)
            await self._scrape()

    async def _scrape(self, *, counts: bool = True) -> None:
        for i, service in enumerate(self._services):
            try:
                buckets = parse_buckets(await asyncio.to_thread(scrape, service))
            except (OSError, http.client.HTTPException):
                continue
            if counts and buckets:
                self.add(i, buckets)
            self._last[i] = buckets

    def add(self, service: int, buckets: Buckets) -> None:
        """Add the increase since the last scrape; all of it after a restart of the process."""
        last = self._last.get(service, {})
        if any(buckets.get(bound, 0) < count for bound, count in last.items()):
            last = {}
        for bound, count in buckets.items():
            self._sum[bound] = self._sum.get(bound, 0) + count - last.get(bound, 0)
