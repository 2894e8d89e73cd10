"""A Prometheus that answers the queries of ``run`` from a simulated service, or lies."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from rollout.prometheus.promql import PART, Part
from tests.rollout.cli.example_service import BOUNDS, ExampleService

_TARGET: Final = {"job": "gateway", "instance": "one"}
#: Response bodies that are no answer to the query.
_LIES: Final = (
    '{"status": "success", "data": {"resultType": "vector", "result": []}}',
    '{"status": "success", "warnings": ["a store is away"], "data": {"resultType": "vector"}}',
    '{"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}',
    "<html>",
)


@dataclass
class SimulatedPrometheus:
    """``asked`` are the monotonic times of the queries that were answered with counters."""

    service: ExampleService
    is_away: bool = False
    lies: bool = False
    lag_seconds: float = 0.0
    #: By how much its clock is ahead.
    skew_seconds: float = 0.0
    #: After a restart there are no samples for a moment.
    is_empty: bool = False
    asked: list[float] = field(default_factory=list)
    _numbers: int = 0
    _history: deque[tuple[float, dict[tuple[str, int], int]]] = field(
        default_factory=lambda: deque(maxlen=5000)
    )

    def note(self) -> None:
        """Remember the counters of this moment."""
        self._history.append((time.time(), dict(self.service._counts)))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        if self.is_away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        self._numbers += 1
        if self.lies:
            return web.Response(text=_LIES[self._numbers % len(_LIES)])
        now = time.time() + self.skew_seconds
        self.asked.append(time.monotonic())
        result = [] if self.is_empty else self._vector(now)
        return web.json_response(
            {"status": "success", "data": {"resultType": "vector", "result": result}}
        )

    def _vector(self, now: float) -> list[dict[str, Any]]:
        seen = [each for each in self._history if each[0] <= time.time() - self.lag_seconds]
        if not seen:
            return []
        at, counts = seen[-1]
        found: list[tuple[dict[str, str], float]] = [
            ({**_TARGET, PART: Part.SAMPLED}, at + self.skew_seconds)
        ]
        for release in ("kv-stable", "kv-canary"):
            failed = counts.get((release, 503), 0) // 1_000_000
            every = failed + counts.get((release, 200), 0) // 1_000_000
            if not every:
                continue
            labels = {**_TARGET, "destination_workload": release}
            found += [
                ({**labels, PART: Part.REQUESTS}, every),
                ({**labels, PART: Part.FAILED}, failed),
            ]
            for bound in (*BOUNDS, "+Inf"):
                within = bound == "+Inf" or float(bound) >= 25
                bounded = {**labels, "le": str(bound)}
                found += [
                    ({**bounded, PART: Part.WITHIN}, every if within else 0),
                    ({**bounded, PART: Part.FAILED_WITHIN}, failed if within else 0),
                ]
        return [{"metric": labels, "value": [now, f"{value}"]} for labels, value in found]
