"""Results as rows: a value, its unit, and the limit that it must keep. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

HEADS: Final = ("value", "unit", "limit", "verdict", "note")


@dataclass(frozen=True)
class Limit:
    """A bound on a value. A value equal to the bound is allowed."""

    kind: Literal["at most", "at least"]
    bound: float

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.kind == "at most" else value >= self.bound

    def nearly_holds(self, value: float, noise: float) -> bool:
        """Return True if it holds for some value that is not further away than the noise."""
        return self.holds(value / (1 + noise) if self.kind == "at most" else value * (1 + noise))

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at most' else '≥'} {self.bound:,g}"


def at_most(bound: float) -> Limit:
    return Limit("at most", bound)


def at_least(bound: float) -> Limit:
    return Limit("at least", bound)


@dataclass(frozen=True)
class Row:
    """One measured quantity. ``limit`` is None where nothing is demanded of it."""

    title: str
    value: float
    unit: str = ""
    limit: Limit | None = None
    #: Further numbers of the same measurement.
    note: str = ""
    #: Of a ratio: how far it is from 1 where the same server is measured twice, as a part of it.
    noise: float = 0.0

    @property
    def verdict(self) -> Literal["", "PASS", "within noise", "FAIL"]:
        if self.limit is None:
            return ""
        if self.limit.holds(self.value):
            return "PASS"
        return "within noise" if self.limit.nearly_holds(self.value, self.noise) else "FAIL"

    @property
    def is_broken(self) -> bool:
        return self.verdict == "FAIL"

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values. An infinite value becomes null."""
        limit = self.limit and {self.limit.kind.replace(" ", "_"): self.limit.bound}
        return {
            "title": self.title,
            "value": self.value if math.isfinite(self.value) else None,
            "unit": self.unit,
            "limit": limit,
            "verdict": self.verdict,
            "note": self.note,
            "noise": self.noise,
        }


def percentage(title: str, part: int, whole: int, limit: Limit | None) -> Row:
    """Return a row with ``part`` in percent of ``whole``; 0 % of nothing is 0."""
    value = part / whole * 100 if whole else 0.0
    return Row(title, value, "%", limit, f"{part:,} of {whole:,}")


def render_table(head: str, rows: Sequence[Row]) -> str:
    """Render the rows in columns, with ``head`` above the titles."""
    lines = [(head, *HEADS)]
    lines += [
        (row.title, render_number(row.value), row.unit, str(row.limit or ""), row.verdict, row.note)
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rendered = [
        "  ".join(
            cell.rjust(width) if column == 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rendered.insert(1, "-" * max(map(len, rendered)))
    return "\n".join(rendered)


def render_number(value: float) -> str:
    """Return a number with three digits, a larger one without decimals; infinity is "never"."""
    if math.isinf(value):
        return "never"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
