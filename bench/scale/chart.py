"""The scales as a picture: CPU time and p99 of each operation along each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from .turns import Measured

COLORS: Final = ("#1f6feb", "#bf5700")
#: What is drawn in the rows of the picture, by the label of its axis.
SHOWN: Final = {
    "CPU time of the service, µs": lambda each: each.service_us,
    "p99, ms": lambda each: each.p99_ms,
}


def draw_chart(sweeps: Mapping[str, Sequence[Measured]], path: Path) -> None:
    """Write a column for each scale, named as ``sweeps`` names it; all axes are logarithmic."""
    # Without pyplot there is no display to look for: a figure alone draws with Agg.
    figure = Figure(figsize=(4.2 * len(sweeps), 6.5))
    grid = figure.subplots(len(SHOWN), len(sweeps), squeeze=False, sharex="col")
    for column, (name, found) in enumerate(sweeps.items()):
        for row, label in enumerate(SHOWN):
            _draw(grid[row][column], found, label)
        grid[-1][column].set_xlabel(name)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _draw(axes: Any, found: Sequence[Measured], label: str) -> None:
    operations = dict.fromkeys(each.point.operation for each in found)
    for color, operation in zip(COLORS, operations, strict=False):
        line = [each for each in found if each.point.operation == operation]
        axes.plot(
            [each.point.x for each in line],
            [SHOWN[label](each) for each in line],
            marker="o",
            color=color,
            label=operation,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel(label)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
