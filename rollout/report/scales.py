"""Map values to places on a chart, choose the ticks of an axis, and keep labels apart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps ``low``..``high`` to ``start``..``end`` in pixels; values outside go to the border."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            part = (inside - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def round_up(value: float) -> float:
    """Return the least 1, 2, 2.5 or 5 times a power of ten that is >= ``value``; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= value * (1 - 1e-9))


def linear_ticks(high: float) -> list[float]:
    """Return five or six ticks from 0 to ``high``, a result of ``round_up``."""
    parts = 5 if f"{high:.0e}"[0] == "5" or f"{high:.1e}".startswith("2.5") else 4
    return [high * place / parts for place in range(parts + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most ``most`` powers of ten; on a short axis, also 2 and 5 times a power."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 2:
        ticks = [m * 10.0**power for power in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [tick for tick in ticks if low <= tick <= high]
    step = math.ceil((last - first + 1) / most)
    return [10.0**power for power in range(first, last + 1) if power % step == 0]


def time_ticks(seconds: float, most: int) -> list[float]:
    """Return round times from 0 to ``seconds``."""
    step = next((each for each in _TIME_STEPS if seconds / each <= most), _TIME_STEPS[-1])
    return [float(place * step) for place in range(int(seconds // step) + 1)]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart until all are ``gap`` from each other, from ``low`` to ``high``."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed: list[float] = []
    for index in order:
        least = placed[-1] + gap if placed else low
        placed.append(max(wanted[index], least))
    limit = high
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], limit)
        limit = placed[place] - gap
    found = [0.0] * len(wanted)
    for index, moved in zip(order, placed, strict=True):
        found[index] = moved
    return found
