"""A collector that accepts and never answers: what the service's clients notice of it.

Two services are asked at the same time, one of which has a healthy collector: whatever the machine
does to latency, it does to both. They share a core, so that CPU time is compared besides: a thread
that spins would slow them both.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.processes import Cores
from bench.frame.report import Row, say
from bench.testbed.operations import tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_redis,
    running_tallykv,
)
from bench.testbed.wrk import Load

from ..testbed.http_client import ask_all
from . import limits
from .collecting import dropped, exported, tell, wait_until_exported
from .exposition import Scrape, scrape
from .options import Options
from .rows import row

#: Of each of 64 connections, on the average, before each request: the core is busy, not full, and
#: latency is the service's own and not that of a queue before it.
PAUSE_MS: Final = 20
WARM_UP_SECONDS: Final = 3
#: A request that is sampled because its caller says so, and how many of them: each is two spans.
SAMPLED: Final = (
    b"GET /v1/kv/key-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
)
BURST: Final = 3_000
MOMENT_SECONDS: Final = 1.0
#: Longer than the exporter waits for more before it sends what it has.
SETTLED_SECONDS: Final = 6.0


@dataclass
class Watched:
    """A service, and what was seen of it window by window."""

    server: Server
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)


def measure_black_hole(options: Options, load: Load, server: Cores, aside: Cores) -> list[Row]:
    """Ask two services, one of which has a collector that hangs all the time."""
    with (
        running_redis(aside) as redis,
        running_collector(aside) as answering,
        running_collector(aside) as hanging,
    ):
        url = f"redis://127.0.0.1:{redis.port}"
        with (
            running_tallykv(url, server, **all_signals(answering)) as healthy,
            running_tallykv(url, server, **all_signals(hanging)) as deprived,
        ):
            preload_tallykv(healthy.port)
            say("black hole: warming two services up")
            requests = load.prepare(healthy, tallykv_operations()[0])
            asked = [(healthy, requests), (deprived, requests)]
            load.run_together(asked, WARM_UP_SECONDS, PAUSE_MS)
            tell(hanging, "hang")
            pair = (Watched(healthy), Watched(deprived))
            _watch(options, load, requests, pair)
            say(f"black hole: {BURST:,} sampled requests, more than its queue holds")
            ask_all(deprived.port, repeat(SAMPLED, BURST))
            # What was answered last is made into spans a moment later.
            time.sleep(MOMENT_SECONDS)
            pair[1].resident_mib.append(deprived.process.resident_mib())
            full = scrape(deprived)
            say("black hole: the collector answers again")
            tell(hanging, "answer")
            held = exported(wait_until_exported(deprived, SETTLED_SECONDS)) - exported(full)
    return [*_ratio_rows(options, *pair), *_bound_rows(options, pair, full, held)]


def _watch(options: Options, load: Load, requests: Path, pair: tuple[Watched, Watched]) -> None:
    for each in pair:
        each.resident_mib.append(each.server.process.resident_mib())
    for number in range(options.windows):
        before = [each.server.process.cpu_seconds() for each in pair]
        asked = [(each.server, requests) for each in pair]
        answers = load.run_together(asked, options.window_seconds, PAUSE_MS)
        for each, begin, answered in zip(pair, before, answers, strict=True):
            each.p99_ms.append(answered.p99_seconds * 1e3)
            used = each.server.process.cpu_seconds() - begin
            each.cpu_us.append(used / answered.requests * 1e6)
            each.resident_mib.append(each.server.process.resident_mib())
        if number % 5 == 0:
            own, beside = (each.p99_ms[-1] for each in pair[::-1])
            say(
                f"black hole: window {number + 1} of {options.windows}:"
                f" p99 {own:.2f} ms, with a healthy collector {beside:.2f} ms"
            )


def _ratio(pairs: Iterable[tuple[float, float]]) -> float:
    return median(deprived / healthy for healthy, deprived in pairs)


def _ratio_rows(options: Options, healthy: Watched, deprived: Watched) -> list[Row]:
    latency = _ratio(zip(healthy.p99_ms, deprived.p99_ms, strict=True))
    cpu = _ratio(zip(healthy.cpu_us, deprived.cpu_us, strict=True))
    return [
        row(
            f"black hole: p99 ÷ p99 with a healthy collector, {options.windows} pairs",
            latency,
            limits.BLACK_HOLE,
            shown=f"{latency:.3f}",
            beside=f"{median(deprived.p99_ms):.2f} ms, {median(healthy.p99_ms):.2f} ms",
        ),
        row(
            "black hole: CPU time of a request ÷ with a healthy collector",
            cpu,
            limits.BLACK_HOLE,
            shown=f"{cpu:.3f}",
            beside=f"{median(deprived.cpu_us):.1f} µs, {median(healthy.cpu_us):.1f} µs",
        ),
    ]


def _bound_rows(
    options: Options, pair: tuple[Watched, Watched], full: Scrape, held: float
) -> list[Row]:
    beside, growth = (max(each.resident_mib) - each.resident_mib[0] for each in pair)
    return [
        row(
            "black hole: spans refused by a full queue",
            dropped(full, "queue_full"),
            limits.QUEUE_DROPS,
            beside=f"{dropped(full, 'export_failed'):,.0f} given up",
        ),
        row("black hole: spans delivered once it answers", held, limits.QUEUE_HOLDS),
        row(
            f"black hole: MiB grown in {options.windows * options.window_seconds} s under load",
            growth,
            limits.RSS_GROWTH_MIB,
            shown=f"{growth:.1f}",
            beside=f"{beside:.1f} with a healthy one",
        ),
    ]
