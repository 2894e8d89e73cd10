"""Two workers beside one.

On a machine of two cores there is none to spare for the load and Redis: what is answered in a
second then says how the cores are shared, not what a worker can do. So requests are divided by the
CPU time that the workers used, and this rate times the cores is what they would answer had they the
cores for themselves. So that sharing costs both alike, one worker has its load and its Redis with
it on one core, and two have theirs on two. That is right as long as nothing but CPU time limits
them; what would (a lock, a Redis that is full) shows in what is answered in a second where there
are cores enough, and there that is held to the limit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.processes import Cores
from bench.frame.report import say
from bench.testbed.operations import Operation, tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_redis,
    running_tallykv,
)
from bench.testbed.wrk import CONNECTIONS, Load

from .options import Options
from .turns import Measured, Point, measure

WORKERS: Final = 2
#: Cores from which on the workers and the load need not share any.
ENOUGH_CORES: Final = 4
OPERATIONS: Final = ("get", "put", "hot")


@dataclass(frozen=True)
class Gain:
    """One operation on one worker and on two."""

    title: str
    one: Measured
    two: Measured
    #: Whether each worker had a core that nobody else used.
    has_own_cores: bool

    @property
    def by_cpu(self) -> list[float]:
        """Return requests for each CPU second times the cores, in units of one worker's."""
        return [WORKERS / each for each in self.two.times(self.one)]

    @property
    def as_seen(self) -> float:
        return self.two.per_second / self.one.per_second

    @property
    def ratio(self) -> float:
        return self.as_seen if self.has_own_cores else median(self.by_cpu)

    @property
    def smaller_share(self) -> float:
        return median(turn.shares[0] for turn in self.two.turns)


@dataclass(frozen=True)
class Crew:
    """A service of some workers, with the Redis and the load that it has."""

    workers: int
    tallykv: Server
    redis: Server
    load: Load

    def point(self, operation: Operation, requests: Path) -> Point:
        return Point(
            operation.name,
            f"{operation.title}, {self.workers} working",
            self.workers,
            self.tallykv,
            self.redis,
            self.load,
            requests,
            CONNECTIONS * self.workers,
        )


def measure_workers(directory: Path, options: Options, cores: Cores) -> list[Gain]:
    """Measure one worker on one core and two on two, as many connections for each worker.

    Both answer a load that never lets up. The load and Redis have the other cores, if there are
    ``ENOUGH_CORES``; else the workers' own.
    """
    has_own_cores = len(cores) >= ENOUGH_CORES
    gains = []
    with contextlib.ExitStack() as stack:
        crews = [
            stack.enter_context(
                _crew(
                    directory,
                    count,
                    cores[:count],
                    cores[WORKERS:] if has_own_cores else cores[:count],
                )
            )
            for count in (1, WORKERS)
        ]
        for operation in tallykv_operations():
            if operation.name not in OPERATIONS:
                continue
            say(f"one worker and {WORKERS}: {operation.title}")
            points = [
                crew.point(operation, crew.load.prepare(crew.tallykv, operation)) for crew in crews
            ]
            one, two = measure(points, options.rounds, options.seconds)
            gains.append(Gain(operation.title, one, two, has_own_cores))
    return gains


@contextlib.contextmanager
def _crew(directory: Path, workers: int, cores: Cores, aside: Cores) -> Iterator[Crew]:
    with (
        running_redis(aside) as redis,
        running_collector(aside) as collector,
        running_tallykv(
            f"redis://127.0.0.1:{redis.port}",
            cores,
            KV_WORKERS=str(workers),
            **all_signals(collector),
        ) as tallykv,
    ):
        preload_tallykv(tallykv.port)
        yield Crew(workers, tallykv, redis, Load(directory, aside))
