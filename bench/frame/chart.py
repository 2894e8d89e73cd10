"""A bar chart of rows, with their limits marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .rows import Row, render_number

#: Rows that stand out, and the others.
OURS: Final = "#1f6feb"
OTHERS: Final = "#b7bdc8"


@dataclass(frozen=True)
class Chart:
    """A chart of the rows that have this unit."""

    unit: str
    label: str
    is_logarithmic: bool = False
    #: Compare servers: titles are "SERVER: OPERATION", the cheapest is on top, this one stands out.
    #: Without it, rows are in their own order, and those with a limit stand out.
    server: str | None = None

    def groups(self, rows: Mapping[str, Sequence[Row]]) -> list[tuple[str, list[tuple[str, Row]]]]:
        """Return the bars of each part from the top: a heading, and rows with their names."""
        found = []
        for part in rows.values():
            bars = [(row.title, row) for row in part if row.unit == self.unit]
            heading = ""
            if self.server is not None:
                bars = sorted(
                    ((title.partition(": ")[0], row) for title, row in bars),
                    key=lambda bar: bar[1].value,
                )
                headings = [row.title for name, row in bars if name == self.server]
                heading = "".join(headings).partition(": ")[2]
            if bars:
                found.append((heading, bars))
        return found

    def stands_out(self, name: str, row: Row) -> bool:
        return row.limit is not None if self.server is None else name == self.server


def draw_chart(chart: Chart, rows: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw a bar for each row with the chart's unit, grouped by part; nothing without such rows."""
    groups = chart.groups(rows)
    if not groups:
        return
    # matplotlib takes a second to import.
    from matplotlib.figure import Figure

    count = sum(len(bars) for _, bars in groups)
    # A figure without pyplot needs no display.
    figure = Figure(figsize=(9, 0.8 + 0.33 * (count + 2 * len(groups))))
    axes = figure.subplots()
    at, ticks = 0.0, {}
    for heading, bars in groups:
        if heading:
            ticks[at] = heading
            at += 1.0
        for name, row in bars:
            is_ours = chart.stands_out(name, row)
            axes.barh(at, row.value, color=OURS if is_ours else OTHERS)
            right = row.value
            if row.limit is not None:
                bound = row.limit.bound
                axes.plot([bound] * 2, [at - 0.45, at + 0.45], color="black", linewidth=2)
                right = max(right, bound)
            weight = "bold" if is_ours and chart.server else "normal"
            text = f"  {render_number(row.value)}"
            axes.text(right, at, text, va="center", fontsize=9, fontweight=weight)
            ticks[at] = name
            at += 1.0
        at += 0.6
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=9)
    headings = {heading for heading, _ in groups}
    for label in axes.get_yticklabels():
        if label.get_text() in headings:
            label.set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xscale("log" if chart.is_logarithmic else "linear")
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    has_limits = any(row.limit is not None for _, bars in groups for _, row in bars)
    axes.set_xlabel(f"{chart.label}; black: the limit" if has_limits else chart.label)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
