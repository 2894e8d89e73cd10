"""What metrics, logs and traces cost: CPU time per request with all of them, beside none.

Both services and a hello are asked in turns, a second each, in changing order: asked at once they
would share a core and push each other's code out of its caches, which nobody's pods do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from ..frame.processes import Cores
from ..frame.report import say
from ..testbed.operations import bare_operation, hello_operations, tallykv_operations
from ..testbed.preload import preload_tallykv
from ..testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_peer,
    running_redis,
    running_tallykv,
)
from ..testbed.wrk import Load
from .options import Options

#: Pairs in each round. Two processes of the same program differ by a percent or two for as long
#: as they live, so each round has two fresh ones.
PAIRS: Final = 5
PAIR_SECONDS: Final = 1


@dataclass(frozen=True)
class Pair:
    """CPU time per request of each, taken right after each other."""

    on_us: float
    off_us: float
    hello_us: float

    @property
    def ratio(self) -> float:
        return self.on_us / self.off_us

    @property
    def more_hellos(self) -> float:
        return (self.on_us - self.off_us) / self.hello_us


@dataclass(frozen=True)
class Tax:
    """One operation, pair by pair."""

    title: str
    pairs: tuple[Pair, ...]

    @property
    def on_us(self) -> float:
        return median(pair.on_us for pair in self.pairs)

    @property
    def off_us(self) -> float:
        return median(pair.off_us for pair in self.pairs)

    @property
    def more_us(self) -> float:
        return median(pair.on_us - pair.off_us for pair in self.pairs)

    @property
    def more_hellos(self) -> float:
        return median(pair.more_hellos for pair in self.pairs)

    @property
    def ratios(self) -> list[float]:
        return [pair.ratio for pair in self.pairs]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


@dataclass(frozen=True)
class Asked:
    """A server, and the file of what it is asked."""

    server: Server
    requests: Path


def measure_tax(
    load: Load, options: Options, server: Cores, aside: Cores, directory: Path
) -> tuple[Tax, Tax]:
    """Return the tax on a GET of an entry, and on a request that asks no store."""
    operations = (tallykv_operations()[0], bare_operation())
    pairs: dict[str, list[Pair]] = {operation.title: [] for operation in operations}
    with (
        running_redis(aside) as redis,
        running_collector(aside) as collector,
        running_peer("hello", redis.port, server, directory) as hello,
    ):
        url, signals = f"redis://127.0.0.1:{redis.port}", all_signals(collector)
        unit = Asked(hello, load.prepare(hello, hello_operations()[0]))
        for number in range(1, options.rounds + 1):
            say(f"signals on and off, round {number} of {options.rounds}")
            with (
                running_tallykv(url, server, **signals) as on,
                running_tallykv(url, server, KV_TELEMETRY="off") as off,
            ):
                if number == 1:
                    preload_tallykv(off.port)
                for operation in operations:
                    requests = load.prepare(on, operation)
                    asked = (Asked(on, requests), Asked(off, requests), unit)
                    found = list(_pairs(load, asked))
                    ratio = median(pair.ratio for pair in found)
                    say(f"  {operation.title}: {ratio:.3f} times the CPU time")
                    pairs[operation.title] += found
    read, bare = (Tax(operation.title, tuple(pairs[operation.title])) for operation in operations)
    return read, bare


def _pairs(load: Load, asked: tuple[Asked, Asked, Asked]) -> Iterator[Pair]:
    for each in asked:
        _cpu_us(load, each)
    for number in range(PAIRS):
        order = asked if number % 2 else asked[::-1]
        found = {id(each): _cpu_us(load, each) for each in order}
        yield Pair(*(found[id(each)] for each in asked))


def _cpu_us(load: Load, asked: Asked) -> float:
    """Ask for a moment, and return the CPU time that a request took."""
    before = asked.server.process.cpu_seconds()
    answered = load.run(asked.server, asked.requests, PAIR_SECONDS)
    return (asked.server.process.cpu_seconds() - before) / answered.requests * 1e6
