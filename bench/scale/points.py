"""Points of a scale, measured in interleaved rounds, so that a busy moment affects all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.program import say
from bench.frame.rows import Limit, Row
from bench.testbed.servers import Stack
from bench.testbed.wrk import CONNECTIONS, Load, LoadResult, interleave

WARM_UP_SECONDS: Final = 1


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The defaults are the full measurement."""

    #: Turns at each point, and the length of a turn.
    rounds: int = 5
    seconds: int = 2
    #: Entries of the largest store.
    keys: int = 1_000_000
    #: Connections that do nothing, and as many watchers.
    idle: int = 10_000
    #: Workers beside one.
    workers: int = 2


@dataclass(frozen=True)
class Turn:
    """The load on a point for some seconds."""

    service: LoadResult
    #: CPU time of Redis for each request.
    redis_us: float

    @property
    def smaller_share(self) -> float:
        """Return the least part that a worker has of the CPU time of all workers."""
        # With several workers the first process is the supervisor, which does next to nothing.
        workers = self.service.cpu_seconds[1:] or self.service.cpu_seconds
        return min(workers) / sum(workers)


@dataclass(eq=False)
class Point:
    """One operation at the place ``x`` of a scale, and its turns."""

    operation: str
    title: str
    x: int
    stack: Stack
    load: Load
    requests: Path
    connections: int = CONNECTIONS
    turns: list[Turn] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return median(turn.service.per_second for turn in self.turns)

    @property
    def service_us(self) -> float:
        return median(turn.service.cpu_us for turn in self.turns)

    def cpu_ratios(self, other: Point) -> list[float]:
        """Return this point's CPU time ÷ the other's, turn by turn."""
        return [
            own.service.cpu_us / others.service.cpu_us
            for own, others in zip(self.turns, other.turns, strict=True)
        ]

    def row(self) -> Row:
        p99_ms = median(turn.service.p99_ms for turn in self.turns)
        redis_us = median(turn.redis_us for turn in self.turns)
        note = f"{self.per_second:,.0f} a second, p99 {p99_ms:.1f} ms, Redis {redis_us:.1f} µs"
        return Row(self.title, self.service_us, "µs", None, note)


def measure_points(points: Sequence[Point], sizes: Sizes) -> None:
    """Give each point its turns, in alternating order."""
    for point in points:
        _take_turn(point, WARM_UP_SECONDS)
    for point in interleave(points, sizes.rounds):
        point.turns.append(_take_turn(point, sizes.seconds))
        say(f"  {point.title}: {point.turns[-1].service.cpu_us:.1f} µs")


def growth_rows(points: Sequence[Point], limits: Limit | Mapping[int, Limit]) -> list[Row]:
    """Return a row for each point, and one for its growth over the point before it.

    ``limits`` may be by ``x``.
    """
    rows = []
    before: Point | None = None
    for point in points:
        rows.append(point.row())
        if before is not None and before.operation == point.operation:
            limit = limits if isinstance(limits, Limit) else limits[point.x]
            growth = median(point.cpu_ratios(before))
            rows.append(Row(f"{point.title} ÷ the point before", growth, "times", limit))
        before = point
    return rows


def _take_turn(point: Point, seconds: int) -> Turn:
    redis = point.stack.redis
    before = redis.cpu_seconds()
    answered = point.load.run(
        point.stack.tallykv, point.requests, seconds, connections=point.connections
    )
    return Turn(answered, (redis.cpu_seconds() - before) / answered.requests * 1e6)
