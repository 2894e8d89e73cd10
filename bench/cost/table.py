"""Which rows the results make, and which limit holds for each."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ..frame import limits
from ..frame.report import Row
from .costs import Cost
from .listing import FEW, PAGE, PageCost
from .tax import Tax

COST_HEADS = ("CPU time of the server", "µs", "÷ hello", "rounds", "a second")
LESS_HEADS = ("CPU time of a GET", "÷ tallykv", "rounds")
TAX_HEADS = ("CPU time with all signals", "µs", "without", "more", "in hellos", "ratio", "pairs")
READY_HEADS = ("start", "seconds")
MEMORY_HEADS = ("memory", "MiB")


def cost_rows(costs: Sequence[Cost]) -> list[Row]:
    rows = []
    for cost in costs:
        value = cost.hellos
        cells = (
            f"{cost.cpu_us:.1f}",
            _ratio(value),
            _spread([window.hellos for window in cost.windows]),
            f"{cost.per_second:,.0f}",
        )
        limit = limits.HELLOS.get(cost.operation) if cost.server == "tallykv" else None
        rows.append(Row(f"{cost.server}: {cost.title}", cells, value, limit))
    return rows


def less_rows(costs: Sequence[Cost]) -> list[Row]:
    """Compare each peer's GET with tallykv's, round by round, each in its own hellos."""
    gets = {cost.server: cost for cost in costs if cost.operation == "get"}
    ours = gets.pop("tallykv", None)
    if ours is None:
        return []
    rows = []
    for server, cost in gets.items():
        ratios = [
            theirs.hellos / own.hellos
            for theirs, own in zip(cost.windows, ours.windows, strict=True)
        ]
        value = median(ratios)
        cells = (_ratio(value), _spread(ratios))
        title = f"{server}'s beside tallykv's"
        rows.append(Row(title, cells, value, limits.TIMES_CHEAPER.get(server)))
    return rows


def tax_rows(read: Tax, bare: Tax) -> list[Row]:
    return [
        Row(f"tallykv: {read.title}", _tax_cells(read), read.ratio, limits.TAX),
        Row(
            f"tallykv: {bare.title}, more in hellos",
            _tax_cells(bare),
            bare.more_hellos,
            limits.TAX_HELLOS,
        ),
    ]


def _tax_cells(tax: Tax) -> tuple[str, ...]:
    return (
        f"{tax.on_us:.1f}",
        f"{tax.off_us:.1f}",
        f"{tax.more_us:.1f}",
        f"{tax.more_hellos:.2f}",
        _ratio(tax.ratio),
        _spread(tax.ratios),
    )


def ready_row(seconds: float) -> Row:
    title = "ready on the embedded store, best of 3"
    return Row(title, (f"{seconds:.2f}",), seconds, limits.READY_SECONDS)


def memory_row(mib: float, requests: int) -> Row:
    title = f"resident after {requests:,} requests"
    return Row(title, (f"{mib:.1f}",), mib, limits.RESIDENT_MIB)


def listing_heads(many: int) -> tuple[str, ...]:
    return (f"list page of {PAGE}, in ms", f"of {FEW:,}", f"of {many:,}", "ratio")


def listing_rows(few: PageCost, many: PageCost) -> list[Row]:
    pairs = {
        "latency, median": (few.latency, many.latency),
        "CPU time of the service": (few.service_cpu, many.service_cpu),
        "CPU time of Redis": (few.redis_cpu, many.redis_cpu),
    }
    rows = [
        Row(title, (f"{a:.3f}", f"{b:.3f}", f"{b / a:.2f}"), b / a, limits.LISTING)
        for title, (a, b) in pairs.items()
    ]
    cells = (f"{few.entries:.1f}", f"{many.entries:.1f}", "")
    rows.append(Row("entries on a page, mean", cells, many.entries))
    return rows


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.3 else f"{value:.3f}"


def _spread(values: Sequence[float]) -> str:
    return f"{_ratio(min(values))} to {_ratio(max(values))}"
