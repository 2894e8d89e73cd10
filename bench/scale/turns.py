"""Points of a scale, measured in turns, so that whatever the machine does meets all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.frame.report import say
from bench.testbed.servers import Server
from bench.testbed.wrk import CONNECTIONS, Load

WARM_UP_SECONDS = 1


@dataclass(frozen=True, eq=False)
class Point:
    """One operation at one place of a scale; ``x`` is that place."""

    operation: str
    title: str
    x: int
    tallykv: Server
    redis: Server
    load: Load
    requests: Path
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Turn:
    """What a moment at a point showed."""

    requests: int
    per_second: float
    p99_ms: float
    #: CPU time for each request: of the service with all its processes, and of Redis.
    service_us: float
    redis_us: float
    #: The part of the service's CPU time that each worker used; one alone has all.
    shares: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """A point and its turns."""

    point: Point
    turns: tuple[Turn, ...]

    @property
    def per_second(self) -> float:
        return median(turn.per_second for turn in self.turns)

    @property
    def p99_ms(self) -> float:
        return median(turn.p99_ms for turn in self.turns)

    @property
    def service_us(self) -> float:
        return median(turn.service_us for turn in self.turns)

    @property
    def redis_us(self) -> float:
        return median(turn.redis_us for turn in self.turns)

    def times(self, other: Measured) -> list[float]:
        """Return this one's CPU time in units of the other's, turn by turn."""
        return [
            own.service_us / others.service_us
            for own, others in zip(self.turns, other.turns, strict=True)
        ]


def measure(points: Sequence[Point], rounds: int, seconds: int) -> list[Measured]:
    """Give each point ``rounds`` turns of ``seconds``, in changing order."""
    turns: dict[Point, list[Turn]] = {point: [] for point in points}
    for point in points:
        take_turn(point, WARM_UP_SECONDS)
    for number in range(rounds):
        for point in points if number % 2 == 0 else points[::-1]:
            turns[point].append(take_turn(point, seconds))
    found = [Measured(point, tuple(taken)) for point, taken in turns.items()]
    for each in found:
        say(f"  {each.point.title}: {each.service_us:.1f} µs, {each.per_second:,.0f} a second")
    return found


def take_turn(point: Point, seconds: int) -> Turn:
    before = point.tallykv.process.cpu_seconds_by_process()
    redis_before = point.redis.process.cpu_seconds()
    answered = point.load.run(point.tallykv, point.requests, seconds, connections=point.connections)
    redis_used = point.redis.process.cpu_seconds() - redis_before
    after = point.tallykv.process.cpu_seconds_by_process()
    # The first is the supervisor where there are several; it does next to nothing.
    used = [after[pid] - before[pid] for pid in after if pid in before]
    workers = used[1:] or used
    return Turn(
        answered.requests,
        answered.requests / answered.seconds,
        answered.p99_seconds * 1e3,
        sum(used) / answered.requests * 1e6,
        redis_used / answered.requests * 1e6,
        tuple(sorted(each / sum(workers) for each in workers)),
    )
