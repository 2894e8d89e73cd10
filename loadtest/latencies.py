"""Latencies as counts of rounded seconds: small, exact to two digits, and they can be added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping


def round_up(seconds: float) -> float:
    """Return the least number of two digits that is not less; up, so that bounds stay true.

    A time above 25 ms never counts among those of at most 25 ms. At least 10 µs.
    """
    if seconds <= 1e-5:
        return 1e-5
    digits = 1 - math.floor(math.log10(seconds))
    # 0.14 * 10**3 is a hair above 140: that hair is no time.
    scaled = math.ceil(round(seconds * 10**digits, 6))
    return float(round(scaled / 10**digits, digits))


def percentile(latencies: Mapping[int, int] | Mapping[float, int], ratio: float) -> float:
    """Return the smallest latency that at least that share did not exceed (nearest rank).

    0 of none; in the unit of the keys.
    """
    total = sum(latencies.values())
    rank = max(1, math.ceil(round(total * ratio, 6)))
    seen = 0
    for latency, count in sorted(latencies.items()):
        seen += count
        if seen >= rank:
            return float(latency)
    return 0.0


def cumulated(latencies: Mapping[float, int], bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Return how many are at most each bound, and all of them last; ``bounds`` ascend."""
    at_most = [sum(count for each, count in latencies.items() if each <= b) for b in bounds]
    return (*at_most, sum(latencies.values()))


def since(now: Mapping[int, int], before: Mapping[int, int]) -> Counter[int]:
    """Return what was added to counts that only grow."""
    return Counter({key: added for key, n in now.items() if (added := n - before.get(key, 0))})
