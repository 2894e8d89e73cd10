"""Lines of the final table."""

from __future__ import annotations

from typing import Final

from bench.frame.limits import Limit
from bench.frame.report import Row

HEADS: Final = ("signals", "found", "beside")


def row(title: str, value: float, limit: Limit, *, shown: str = "", beside: str = "") -> Row:
    """Return a line; ``shown`` is how the value reads, ``beside`` what it may be compared with."""
    return Row(title, (shown or f"{value:,.0f}", beside), value, limit)


def percent_row(title: str, part: int, whole: int, limit: Limit) -> Row:
    """Return a line that says how much of the whole it is."""
    percent = part / whole * 100 if whole else 0.0
    return row(title, percent, limit, shown=f"{percent:.4g} %", beside=f"{part:,} of {whole:,}")
