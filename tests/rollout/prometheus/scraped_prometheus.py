"""A Prometheus with scrape targets, and readings from it."""

from __future__ import annotations

import contextlib
from typing import Any

from rollout.evidence.counts import Arm, CounterSnapshot
from rollout.prometheus.query import Query
from rollout.prometheus.source import PrometheusServer, open_source
from rollout.runner.ports import SourceFailed
from tests.rollout.prometheus.exporters import Exporter, TargetPool
from tests.support.prometheus import Prometheus
from tests.support.waiting import eventually


class ScrapedPrometheus:
    """A Prometheus, and the targets that it scrapes."""

    def __init__(self, prometheus: Prometheus, pool: TargetPool) -> None:
        self.prometheus = prometheus
        self._pool = pool

    def target(self, **labels: str) -> Exporter:
        """Return a target with these labels and no series yet."""
        return self._pool.take(labels)

    def server(self, **more: Any) -> PrometheusServer:
        return PrometheusServer(url=self.prometheus.base, **more)

    async def read(self, question: Query, **more: Any) -> CounterSnapshot:
        async with open_source(self.server(**more), question) as source:
            return await source.read()

    async def read_until(self, question: Query, requests: int) -> CounterSnapshot:
        """Read until the releases' requests sum up to this number; ignore SourceFailed."""

        async def look() -> CounterSnapshot | None:
            with contextlib.suppress(SourceFailed):
                reading = await self.read(question)
                released = {s: n for s, n in reading.counts.items() if s.arm is not Arm.NEITHER}
                if sum(each.requests for each in released.values()) == requests:
                    return reading
            return None

        found: CounterSnapshot = await eventually(look, what=f"a reading of {requests} requests")
        return found
