"""Results as rows, and rows as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.table import align

from .limits import Limit


@dataclass(frozen=True)
class Row:
    """One result: its cells after the title, and the limit that its value is held to."""

    title: str
    cells: tuple[str, ...]
    value: float
    limit: Limit | None = None

    @property
    def failed(self) -> bool:
        return self.limit is not None and not self.limit.holds(self.value)

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "FAIL" if self.failed else "PASS"


def render_table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    """Render the rows below their heads: title, cells, limit, verdict."""
    lines = [(*heads, "limit", "")]
    lines += [
        (row.title, *row.cells, "" if row.limit is None else str(row.limit), row.verdict)
        for row in rows
    ]
    return align(lines)


def say(text: str) -> None:
    """Tell a waiting reader what is being done."""
    print(text, file=sys.stderr, flush=True)
