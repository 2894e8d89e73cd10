"""Which rows the results make, and which limit holds for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from bench.frame.limits import Limit
from bench.frame.report import Row

from . import limits
from .turns import Measured
from .workers import WORKERS, Gain

WORKER_HEADS = (
    f"{WORKERS} workers beside 1",
    "1: a CPU second",
    f"{WORKERS}: a CPU second",
    "the smaller share",
    "as seen, a second",
    "ratio, CPU-corrected",
    "turns",
)
SWEEP_HEADS = ("a second", "p99, ms", "CPU, µs", "Redis, µs", "÷ the one before")


def worker_rows(gains: Sequence[Gain]) -> list[Row]:
    """Two workers' requests in units of one's, as they would be on cores of their own."""
    return [
        Row(
            gain.title,
            (
                f"{1e6 / gain.one.service_us:,.0f}",
                f"{1e6 / gain.two.service_us:,.0f}",
                f"{gain.smaller_share:.0%}",
                f"{gain.one.per_second:,.0f} and {gain.two.per_second:,.0f}",
                f"{median(gain.by_cpu):.2f}",
                f"{min(gain.by_cpu):.2f} to {max(gain.by_cpu):.2f}",
            ),
            gain.ratio,
            limits.TWO_WORKERS,
        )
        for gain in gains
    ]


def sweep_rows(found: Sequence[Measured], limit: Limit | Mapping[int, Limit]) -> list[Row]:
    """Set each point beside the one before it, of the same operation; limits may be by place."""
    rows = [_row(found[0])] if found else []
    for before, each in pairwise(found):
        if before.point.operation == each.point.operation:
            held_to = limit if isinstance(limit, Limit) else limit[each.point.x]
            rows.append(_row(each, median(each.times(before)), held_to))
        else:
            rows.append(_row(each))
    return rows


def _row(each: Measured, growth: float | None = None, limit: Limit | None = None) -> Row:
    cells = (
        f"{each.per_second:,.0f}",
        f"{each.p99_ms:.1f}",
        f"{each.service_us:.1f}",
        f"{each.redis_us:.1f}",
        "" if growth is None else f"{growth:.2f}",
    )
    return Row(each.point.title, cells, growth or 0.0, limit)
