"""Latencies as counts by rounded value: small, exact to two digits, and easy to add. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping


def round_up(seconds: float) -> float:
    """Return the smallest number with two digits that is not less; at least 10 µs.

    Rounding up keeps bounds right: a time above 25 ms never counts as at most 25 ms.
    """
    if seconds <= 1e-5:
        return 1e-5
    digits = 1 - math.floor(math.log10(seconds))
    # In floating point, 0.14 * 10**3 is slightly more than 140.
    scaled = math.ceil(round(seconds * 10**digits, 6))
    return float(round(scaled / 10**digits, digits))


def percentile(latencies: Mapping[int, int] | Mapping[float, int], ratio: float) -> float:
    """Return the percentile by the nearest-rank method, in the unit of the keys; 0 of none."""
    total = sum(latencies.values())
    rank = max(1, math.ceil(round(total * ratio, 6)))
    seen = 0
    for latency, count in sorted(latencies.items()):
        seen += count
        if seen >= rank:
            return float(latency)
    return 0.0


def cumulated(latencies: Mapping[float, int], bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Return the count up to each bound, and the count of all. ``bounds`` are ascending."""
    up_to = [sum(count for each, count in latencies.items() if each <= b) for b in bounds]
    return (*up_to, sum(latencies.values()))


def increase(now: Mapping[int, int], before: Mapping[int, int]) -> Counter[int]:
    """Return the increase of each count."""
    return Counter({key: added for key, n in now.items() if (added := n - before.get(key, 0))})
