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
from bench.testbed.wrk import CONNECTIONS, Load

WARM_UP_SECONDS: Final = 1


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The defaults are the full measurement."""

    #: Turns at each point, and the length of a turn.
    rounds: int = 5
    seconds: int = 2
    #: Entries of the largest store.
    keys: int = 1_000_000


@dataclass(frozen=True)
class Turn:
    """The load on a point for some seconds."""

    per_second: float
    p99_ms: float
    #: CPU time for each request: of all processes of the service, and of Redis.
    service_us: float
    redis_us: float
    #: Each worker's part of the CPU time of all workers, ascending.
    shares: tuple[float, ...]


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
        return median(turn.per_second for turn in self.turns)

    @property
    def service_us(self) -> float:
        return median(turn.service_us for turn in self.turns)

    def cpu_ratios(self, other: Point) -> list[float]:
        """Return this point's CPU time ÷ the other's, turn by turn."""
        return [
            own.service_us / others.service_us
            for own, others in zip(self.turns, other.turns, strict=True)
        ]

    def row(self) -> Row:
        p99_ms = median(turn.p99_ms for turn in self.turns)
        redis_us = median(turn.redis_us for turn in self.turns)
        note = f"{self.per_second:,.0f} a second, p99 {p99_ms:.1f} ms, Redis {redis_us:.1f} µs"
        return Row(self.title, self.service_us, "µs", None, note)


def measure_points(points: Sequence[Point], sizes: Sizes) -> None:
    """Give each point its turns, in alternating order."""
    for point in points:
        _take_turn(point, WARM_UP_SECONDS)
    for number in range(sizes.rounds):
        say(f"round {number + 1} of {sizes.rounds}")
        for point in points if number % 2 == 0 else points[::-1]:
            point.turns.append(_take_turn(point, sizes.seconds))


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
    tallykv, redis = point.stack.tallykv, point.stack.redis
    before = tallykv.process.cpu_seconds_by_process()
    redis_before = redis.process.cpu_seconds()
    answered = point.load.run(tallykv, point.requests, seconds, connections=point.connections)
    redis_used = redis.process.cpu_seconds() - redis_before
    after = tallykv.process.cpu_seconds_by_process()
    # With several workers the first process is the supervisor, which does next to nothing.
    used = [after[pid] - before[pid] for pid in after if pid in before]
    workers = used[1:] or used
    return Turn(
        answered.requests / answered.seconds,
        answered.p99_seconds * 1e3,
        sum(used) / answered.requests * 1e6,
        redis_used / answered.requests * 1e6,
        tuple(sorted(each / sum(workers) for each in workers)),
    )
