"""An operation on a running server: what it costs, how fast it is, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.noise import noise_of, noise_row
from bench.frame.processes import Server
from bench.frame.rows import Row
from bench.testbed.open_loop import BUSIEST, OpenLoopResult, load_openly
from bench.testbed.operations import Operation
from bench.testbed.wrk import Load

from . import limits

OURS: Final = "tallykv"
WARM_UP_SECONDS: Final = 1
#: The speed of the machine drifts, and a shared one stalls for tenths of a second. So a measurement
#: consists of slices, each compared with a slice of hello right before it, and medians are taken.
SLICE_SECONDS: Final = 1
#: Latencies are measured at this part of the rate that keeps the core busy.
OF_THE_KNEE: Final = 0.7
#: Ends of titles, after that of the operation.
RATE: Final = "rate on one core"
P50: Final = "p50 at 70 % of it"
P99: Final = "p99 at 70 % of it"
P99_RATIO: Final = "p99 ÷ hello's at the same rate"
RESIDENT: Final = "resident memory"
#: The whole title of the row with the noise of P99_RATIO.
P99_NOISE: Final = "noise: hello's p99 at the same rate, twice"


@dataclass(frozen=True)
class Slice:
    """CPU time of one of the API's operations and their rate, over one slice."""

    cpu_us: float
    per_second: float
    #: CPU time in units of the hello's, measured right before.
    hellos: float = 1.0


@dataclass(eq=False)
class Subject:
    """An operation on a running server, its slices by round, and its latencies by slice."""

    server: Server
    operation: Operation
    requests: Path
    rounds: list[list[Slice]] = field(default_factory=list)
    latencies: list[OpenLoopResult] = field(default_factory=list)
    #: Those of hello, measured right before at the same rate, and of a second hello.
    beside: list[OpenLoopResult] = field(default_factory=list)
    twins: list[OpenLoopResult] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.server.name}: {self.operation.title}"

    @property
    def is_ours(self) -> bool:
        return self.server.name == OURS

    @property
    def per_second(self) -> float:
        return median(median(each.per_second for each in slices) for slices in self.rounds)

    @property
    def cpu_us(self) -> float:
        return median(median(each.cpu_us for each in slices) for slices in self.rounds)

    def hellos_by_round(self) -> list[float]:
        return [median(each.hellos for each in slices) for slices in self.rounds]

    def measure_round(self, load: Load, hello: Subject, seconds: int) -> None:
        """Measure the operation for ``seconds``, in turns with hello."""
        load.run(self.server, self.requests, WARM_UP_SECONDS)
        self.rounds.append([])
        for _ in range(seconds // SLICE_SECONDS):
            before = self.server.cpu_seconds()
            unit = hello.measure_slice(load, hello.server.cpu_seconds())
            # Counted from before hello's slice: the server exports its spans later.
            found = self.measure_slice(load, before)
            hello.rounds[-1].append(unit)
            hellos = found.cpu_us / unit.cpu_us
            self.rounds[-1].append(Slice(found.cpu_us, found.per_second, hellos))

    def measure_slice(self, load: Load, cpu_before: float) -> Slice:
        answered = load.run(self.server, self.requests, SLICE_SECONDS)
        used = self.server.cpu_seconds() - cpu_before
        operations = answered.requests * self.operation.size
        return Slice(used / operations * 1e6, operations / answered.seconds)

    def measure_latencies(self, hello: Subject, twin: Subject, seconds: int) -> None:
        """Measure a slice of latencies, and hello's at the same rate."""
        rate = OF_THE_KNEE * self.per_second / self.operation.size
        into = [(hello, self.beside), (self, self.latencies)]
        for subject, found in [*into, (twin, self.twins)] if self.is_ours else into:
            requests = subject.operation.requests
            try:
                found.append(load_openly(subject.server.port, requests, rate, seconds))
            except (BenchError, OSError) as error:
                raise BenchError(f"{subject.title}: {rate:.0f} a second: {error}") from None

    def cost_row(self, noise: float) -> Row:
        hellos = self.hellos_by_round()
        limit = limits.HELLOS.get(self.operation.name) if self.is_ours else None
        note = f"{self.cpu_us:.1f} µs, rounds {range_of(hellos)}"
        return Row(self.title, median(hellos), "hellos", limit, note, noise)

    def further_rows(self) -> Iterator[Row]:
        used = self.per_second * self.cpu_us / 1e6
        note = f"{used:.0%} of the core used"
        busiest = max((each.busy for each in (*self.latencies, *self.beside)), default=0)
        if busiest > BUSIEST:
            note += f"; 70 % of it is beyond the generator, which was {busiest:.0%} busy"
        yield Row(f"{self.title}: {RATE}", self.per_second, "a second", None, note)
        if self.latencies and busiest <= BUSIEST:
            yield from self._latency_rows(f"the generator {busiest:.0%} busy")
        yield Row(f"{self.title}: {RESIDENT}", self.server.resident_mib(), "MiB")

    def _latency_rows(self, note: str) -> Iterator[Row]:
        late = median(each.late_p99_ms for each in self.latencies)
        p50, p50_beside = (
            median(each.p50_ms for each in found) for found in (self.latencies, self.beside)
        )
        p99, p99_beside = (
            median(each.p99_ms for each in found) for found in (self.latencies, self.beside)
        )
        yield Row(f"{self.title}: {P50}", p50, "ms", None, f"hello {p50_beside:.2f}")
        note = f"hello {p99_beside:.2f}; {note}, late by {late:.2f} ms at p99"
        yield Row(f"{self.title}: {P99}", p99, "ms", None, note)
        ratios = _p99_ratios(self.latencies, self.beside)
        limit, noise = None, 0.0
        if self.is_ours:
            twins = _p99_ratios(self.twins, self.beside)
            limit, noise = limits.P99_RATIO, noise_of(twins)
            yield noise_row(P99_NOISE.removeprefix("noise: "), twins, limits.P99_NOISE)
        note = f"slices {range_of(ratios)}"
        yield Row(f"{self.title}: {P99_RATIO}", median(ratios), "times", limit, note, noise)


def _p99_ratios(own: Sequence[OpenLoopResult], others: Sequence[OpenLoopResult]) -> list[float]:
    return [a.p99_ms / b.p99_ms for a, b in zip(own, others, strict=True)]


def range_of(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"
