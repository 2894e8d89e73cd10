"""A collector that accepts uploads and never answers: its effect on the service's clients.

Two services are loaded at the same time, one of them with a healthy collector, so that a stall of
the machine affects the latency of both. They share a core, so CPU time is compared as well: a
thread that spins would slow down both.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.http_client import exchange_all
from bench.testbed.operations import render_request, tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.scrape import scrape, set_collector, wait_until_exported
from bench.testbed.servers import PATIENT, Collector, Redis, Service
from bench.testbed.wrk import Load

from . import limits
from .run_sizes import Sizes

#: Mean pause of each of the 64 connections before a request. The core is then busy but not full, so
#: that latency is the service's own and not that of a queue.
PAUSE_MS: Final = 20
WARM_UP_SECONDS: Final = 3
#: Sampled because the caller says so. Each request makes two spans.
SAMPLED: Final = render_request(
    "GET",
    "/v1/kv/key-1",
    headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
)
BURST: Final = 3_000
#: Spans of the last answers are made a moment later.
SPAN_SECONDS: Final = 1.0
#: Longer than the interval between exports.
SETTLED_SECONDS: Final = 6.0


@dataclass
class Subject:
    """A service, and what was measured window by window."""

    server: Service
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)

    @property
    def growth_mib(self) -> float:
        return max(self.resident_mib) - self.resident_mib[0]


def measure_hanging_collector(run: Run[Sizes]) -> Iterator[Row]:
    load = Load(run.directory, run.load_cores)
    with (
        running(Redis(cores=run.load_cores)) as redis,
        running(Collector(run.load_cores)) as answering,
        running(Collector(run.load_cores)) as hanging,
        _running_service(redis, answering, run) as healthy,
        _running_service(redis, hanging, run) as deprived,
    ):
        preload_tallykv(healthy.port)
        requests = load.prepare(healthy, tallykv_operations()[0])
        load.run_together([healthy, deprived], requests, WARM_UP_SECONDS, PAUSE_MS)
        set_collector(hanging, "hang")
        pair = (Subject(healthy), Subject(deprived))
        _measure_windows(run.sizes, load, requests, pair)
        say(f"{BURST:,} sampled requests, more than the queue holds")
        exchange_all(deprived.port, repeat(SAMPLED, BURST))
        time.sleep(SPAN_SECONDS)
        pair[1].resident_mib.append(deprived.resident_mib())
        full = scrape(deprived)
        say("the collector answers again")
        set_collector(hanging, "answer")
        last = wait_until_exported(deprived, SETTLED_SECONDS)
    yield from _ratio_rows(*pair)
    refused, given_up = full.dropped_spans("queue_full"), full.dropped_spans("export_failed")
    note = f"{given_up:,.0f} given up"
    yield Row("spans refused by a full queue", refused, "spans", limits.QUEUE_DROPS, note)
    held = last.exported_spans - full.exported_spans
    yield Row("spans delivered once it answers", held, "spans", limits.QUEUE_HOLDS)
    note = f"{pair[0].growth_mib:.1f} MiB with a healthy collector"
    seconds = run.sizes.windows * run.sizes.window_seconds
    title = f"resident memory, growth in {seconds} s"
    yield Row(title, pair[1].growth_mib, "MiB", limits.RSS_GROWTH_MIB, note)


def _running_service(
    redis: Redis, collector: Collector, run: Run[Sizes]
) -> AbstractContextManager[Service]:
    settings = {**PATIENT, **collector.signals()}
    return running(Service(redis.url, settings, run.server_cores))


def _measure_windows(
    sizes: Sizes, load: Load, requests: Path, pair: tuple[Subject, Subject]
) -> None:
    servers = [each.server for each in pair]
    for each in pair:
        each.resident_mib.append(each.server.resident_mib())
    for number in range(sizes.windows):
        answers = load.run_together(servers, requests, sizes.window_seconds, PAUSE_MS)
        for each, answered in zip(pair, answers, strict=True):
            each.p99_ms.append(answered.p99_ms)
            each.cpu_us.append(answered.cpu_us)
            each.resident_mib.append(each.server.resident_mib())
        if number % 5 == 0:
            healthy, deprived = (each.p99_ms[-1] for each in pair)
            say(f"window {number + 1} of {sizes.windows}: p99 {deprived:.2f} and {healthy:.2f} ms")


def _ratio_rows(healthy: Subject, deprived: Subject) -> Iterator[Row]:
    for what, unit, own, others in (
        ("p99", "ms", deprived.p99_ms, healthy.p99_ms),
        ("CPU time of a request", "µs", deprived.cpu_us, healthy.cpu_us),
    ):
        ratio = _median_ratio(zip(own, others, strict=True))
        note = f"{median(own):.2f} and {median(others):.2f} {unit}, {len(own)} windows"
        title = f"{what}: hanging ÷ healthy collector"
        yield Row(title, ratio, "times", limits.HANGING_COLLECTOR_RATIO, note)


def _median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    return median(own / other for own, other in pairs)
