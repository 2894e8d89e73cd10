"""Lines of the final table, and how sure a counted ratio is."""

from __future__ import annotations

import math
from typing import Final

from bench.frame.limits import Limit
from bench.frame.report import Row

HEADS: Final = ("evidence", "found", "beside")


def row(title: str, value: float, limit: Limit | None, *, shown: str = "", beside: str = "") -> Row:
    """Return a line; ``shown`` is how the value reads, ``beside`` what it may be compared with."""
    return Row(title, (shown or f"{value:,.4g}", beside), value, limit)


def percent_row(title: str, part: int, whole: int, limit: Limit | None) -> Row:
    """Return a line that says how much of the whole it is."""
    percent = part / whole * 100
    return row(title, percent, limit, shown=f"{percent:.4g} %", beside=f"{part:,} of {whole:,}")


def bound_row(title: str, part: int, whole: int, limit: Limit) -> Row:
    """Return a line that says how much of the whole it is at most, with 95 % confidence."""
    percent = upper_bound(part, whole) * 100
    beside = f"{part:,} of {whole:,}"
    return row(f"{title}, 95 % bound", percent, limit, shown=f"{percent:.3f} %", beside=beside)


def upper_bound(part: int, whole: int, confidence: float = 0.95) -> float:
    """Return the one-sided bound of Clopper and Pearson (1934) for a ratio."""
    if part == whole:
        return 1.0
    low, high = part / whole, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(part, whole, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(part: int, whole: int, chance: float) -> float:
    """Return the binomial chance of that many or fewer."""
    return math.fsum(
        math.exp(
            math.lgamma(whole + 1)
            - math.lgamma(hits + 1)
            - math.lgamma(whole - hits + 1)
            + hits * math.log(chance)
            + (whole - hits) * math.log1p(-chance)
        )
        for hits in range(part + 1)
    )
