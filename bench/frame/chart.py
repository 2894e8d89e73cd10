"""A bar chart of rows, with their limits marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .rows import Row, render_number

#: Rows with a limit, and the others.
LIMITED: Final = "#1f6feb"
OTHERS: Final = "#b7bdc8"


@dataclass(frozen=True)
class Chart:
    """A chart of the rows that have this unit."""

    unit: str
    label: str
    is_logarithmic: bool = False


def draw_chart(chart: Chart, rows: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw a bar for each row with the chart's unit, grouped by part; nothing without such rows."""
    # matplotlib takes a second to import.
    from matplotlib.figure import Figure

    groups = [[row for row in part if row.unit == chart.unit] for part in rows.values()]
    groups = [group for group in groups if group]
    if not groups:
        return
    count = sum(map(len, groups))
    # A figure without pyplot needs no display.
    figure = Figure(figsize=(9, 0.8 + 0.33 * (count + len(groups))))
    axes = figure.subplots()
    at, ticks = 0.0, {}
    for group in groups:
        for row in group:
            axes.barh(at, row.value, color=OTHERS if row.limit is None else LIMITED)
            right = row.value
            if row.limit is not None:
                bound = row.limit.bound
                axes.plot([bound] * 2, [at - 0.45, at + 0.45], color="black", linewidth=2)
                right = max(right, bound)
            axes.text(right, at, f"  {render_number(row.value)}", va="center", fontsize=9)
            ticks[at] = row.title
            at += 1.0
        at += 0.6
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log" if chart.is_logarithmic else "linear")
    axes.margins(x=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    has_limits = any(row.limit is not None for group in groups for row in group)
    axes.set_xlabel(f"{chart.label}; black: the limit" if has_limits else chart.label)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
