"""The costs as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from ..frame.limits import HELLOS
from .costs import Cost

OURS: Final = "#1f6feb"
OTHERS: Final = "#b7bdc8"


def draw_chart(costs: Sequence[Cost], path: Path) -> None:
    """Write a bar for each cost, in hellos, tallykv's limits marked."""
    titles = list(dict.fromkeys(cost.title for cost in costs))
    ordered = sorted(costs, key=lambda cost: titles.index(cost.title))
    # Without pyplot there is no display to look for: a figure alone draws with Agg.
    figure = Figure(figsize=(9, 0.8 + 0.33 * (len(ordered) + len(titles))))
    axes = figure.subplots()
    at, last, ticks = 0.0, "", []
    for cost in ordered:
        at += 1.0 if cost.title == last else 1.6
        last = cost.title
        value = cost.hellos
        ours = cost.server == "tallykv"
        axes.barh(at, value, color=OURS if ours else OTHERS)
        limit = HELLOS.get(cost.operation) if ours else None
        right = value
        if limit is not None:
            axes.plot([limit.bound] * 2, [at - 0.45, at + 0.45], color="black", linewidth=2)
            right = max(value, limit.bound)
        axes.text(right, at, f"  {value:.2f}", va="center", fontsize=9)
        ticks.append((at, f"{cost.title}  {cost.server}"))
    axes.set_yticks([each for each, _ in ticks], [label for _, label in ticks], fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("CPU time of the server, 1 = a bare aiohttp hello; black: tallykv's limit")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
