"""CPU time per request with metrics, logs and traces on, beside the same with all of them off.

Both services and a hello are loaded in turns of a second, in alternating order. Loaded at the same
time they would share a core and evict each other's code from its caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.processes import Server, running
from bench.frame.program import Run, say
from bench.frame.rows import Limit, Row
from bench.testbed.operations import (
    hello_operations,
    operation_without_store,
    tallykv_operations,
)
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Collector, Redis, Service
from bench.testbed.wrk import Load, interleave

from . import limits
from .peers.commands import peer
from .run_sizes import Sizes

#: Triples in each round. Two processes of the same program differ by a percent or two for as long
#: as they live, so each round starts new ones.
TRIPLES: Final = 5
TURN_SECONDS: Final = 1


@dataclass(frozen=True)
class Triple:
    """CPU time per request of three servers, measured right after each other."""

    on_us: float
    off_us: float
    hello_us: float

    @property
    def ratio(self) -> float:
        return self.on_us / self.off_us

    @property
    def added_hellos(self) -> float:
        return (self.on_us - self.off_us) / self.hello_us


def measure_signals(run: Run[Sizes]) -> Iterator[Row]:
    """Measure what the signals add to a GET, and to a request without a store."""
    load = Load(run.directory, run.load_cores)
    get, without_store = tallykv_operations()[0], operation_without_store()
    found: dict[str, list[Triple]] = {get.title: [], without_store.title: []}
    with (
        running(Redis(cores=run.load_cores)) as redis,
        running(Collector(run.load_cores)) as collector,
        running(peer("hello", redis, run.server_cores, run.directory)) as hello,
    ):
        signals = {**PATIENT, **collector.signals()}
        no_signals = {**PATIENT, "KV_TELEMETRY": "off"}
        unit = (hello, load.prepare(hello, hello_operations()[0]))
        for number in range(1, run.sizes.rounds + 1):
            with (
                running(Service(redis.url, signals, run.server_cores)) as on,
                running(Service(redis.url, no_signals, run.server_cores)) as off,
            ):
                if number == 1:
                    preload_tallykv(off.port)
                for operation in (get, without_store):
                    requests = load.prepare(on, operation)
                    triples = _measure_triples(load, [(on, requests), (off, requests), unit])
                    ratio = median(each.ratio for each in triples)
                    say(f"round {number} of {run.sizes.rounds}: {operation.title}: {ratio:.3f}")
                    found[operation.title] += triples
    yield from _rows(get.title, found[get.title], limits.SIGNALS_RATIO, None)
    yield from _rows(without_store.title, found[without_store.title], None, limits.SIGNALS_HELLOS)


def _rows(
    title: str, triples: list[Triple], ratio_limit: Limit | None, hellos_limit: Limit | None
) -> Iterator[Row]:
    on, off = median(each.on_us for each in triples), median(each.off_us for each in triples)
    ratios = [each.ratio for each in triples]
    note = f"{on:.1f} and {off:.1f} µs, pairs {min(ratios):.3g} to {max(ratios):.3g}"
    yield Row(f"{title}: on ÷ off", median(ratios), "times", ratio_limit, note)
    added_us = median(each.on_us - each.off_us for each in triples)
    added_hellos = median(each.added_hellos for each in triples)
    note = f"{added_us:.1f} µs"
    yield Row(f"{title}: added by signals", added_hellos, "added hellos", hellos_limit, note)


def _measure_triples(load: Load, servers: list[tuple[Server, Path]]) -> list[Triple]:
    for each in servers:
        load.run(*each, seconds=TURN_SECONDS)
    turns: list[list[float]] = [[] for _ in servers]
    for index in interleave(range(len(servers)), TRIPLES):
        turns[index].append(load.run(*servers[index], seconds=TURN_SECONDS).cpu_us)
    return [Triple(*each) for each in zip(*turns, strict=True)]
