"""What metrics, logs and traces cost: CPU time per request with all of them, beside none.

Both services are asked at the same time and share a core: the kernel gives it to them in turns of
milliseconds, so whatever the machine does, it does to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from .operations import Operation, bare_operation, tallykv_operations
from .options import Options
from .preload import preload_tallykv
from .processes import Cores
from .report import say
from .servers import Server, all_signals, running_collector, running_redis, running_tallykv
from .wrk import Load

#: Pairs in each round. Two processes of the same program differ by a percent or two for as long
#: as they live, so each round has two fresh ones.
PAIRS: Final = 5
PAIR_SECONDS: Final = 2
WARM_UP_SECONDS: Final = 2


@dataclass(frozen=True)
class Pair:
    """CPU time per request of both, taken in the same moments."""

    on_us: float
    off_us: float

    @property
    def ratio(self) -> float:
        return self.on_us / self.off_us


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
    def ratios(self) -> list[float]:
        return [pair.ratio for pair in self.pairs]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def measure_tax(load: Load, options: Options, server: Cores, aside: Cores) -> tuple[Tax, Tax]:
    """Return the tax on a GET of an entry, and on a request that asks no store."""
    operations = (tallykv_operations()[0], bare_operation())
    pairs: dict[str, list[Pair]] = {operation.title: [] for operation in operations}
    with running_redis(aside) as redis, running_collector(aside) as collector:
        url, signals = f"redis://127.0.0.1:{redis.port}", all_signals(collector)
        for number in range(1, options.rounds + 1):
            say(f"signals on and off, round {number} of {options.rounds}")
            with (
                running_tallykv(url, server, **signals) as on,
                running_tallykv(url, server, KV_TELEMETRY="off") as off,
            ):
                if number == 1:
                    preload_tallykv(off.port)
                for operation in operations:
                    found = list(_pairs(load, operation, on, off))
                    ratio = median(pair.ratio for pair in found)
                    say(f"  {operation.title}: {ratio:.3f} times the CPU time")
                    pairs[operation.title] += found
    read, bare = (Tax(operation.title, tuple(pairs[operation.title])) for operation in operations)
    return read, bare


def _pairs(load: Load, operation: Operation, on: Server, off: Server) -> Iterator[Pair]:
    requests = load.prepare(on, operation)
    load.run_both((on, off), requests, WARM_UP_SECONDS)
    for _ in range(PAIRS):
        before = [each.process.cpu_seconds() for each in (on, off)]
        answered = load.run_both((on, off), requests, PAIR_SECONDS)
        used = [each.process.cpu_seconds() for each in (on, off)]
        yield Pair(
            *(
                (end - begin) / each.requests * 1e6
                for begin, end, each in zip(before, used, answered, strict=True)
            )
        )
