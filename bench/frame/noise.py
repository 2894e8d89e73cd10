"""How far a measurement of the same server twice differs from itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .rows import Limit, Row, at_most

#: A machine with more noise than this proves nothing, so no run passes on it.
MOST_PERCENT: Final = at_most(10)


def noise_of(ratios: Sequence[float]) -> float:
    """Return the largest deviation of the ratios from 1, as a part of it: 0.25 for 1.25 and 0.8.

    The ratios are those of a server ÷ a second process of itself, one of each round.
    """
    return max(max(ratio, 1 / ratio) for ratio in ratios) - 1


def noise_row(title: str, ratios: Sequence[float], limit: Limit | None = MOST_PERCENT) -> Row:
    """Return the noise as a row in percent. ``title`` names the server and what is measured."""
    note = f"rounds {min(ratios):.3g} to {max(ratios):.3g}"
    return Row(f"noise: {title}", noise_of(ratios) * 100, "%", limit, note)
