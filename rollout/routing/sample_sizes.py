"""How many requests tell a share from another, and which counts are those of a share. Pure.

Exact binomial tests of a share p: accept it if the count is between two numbers. The numbers are
the narrowest ones that refuse p itself with at most ``error``, and the number of requests is the
smallest that accepts neither p + d nor p - d with more than ``error``: the exact power of the test,
as in Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, chapter 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

#: A right share is refused, and a wrong one accepted, at most this often.
ERROR: Final = 0.0005
#: If a share is refused, it is counted again with so many times as many requests, and the sum
#: decides. So a right one is refused 28 times less often.
IN_DOUBT: Final = 3
#: The difference that a test must see, in percentage points.
DISTANCE: Final = 10.0
_LARGEST: Final = 200_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of ``requests`` requests, between ``least`` and ``most`` go there."""

    requests: int
    least: int
    most: int

    def allow(self, count: int) -> bool:
        return self.least <= count <= self.most


def distance_of(percent: float) -> float:
    """Return the difference that a test of this share sees unless it says another.

    A share nearer to 0 or 100 % than that is told from twice itself, and from nothing.
    """
    return min(DISTANCE, percent, 100 - percent) or DISTANCE


@lru_cache(maxsize=4096)
def bounds_for(percent: float, distance: float | None = None, error: float = ERROR) -> Bounds:
    """Return the smallest test that tells a share in percent from those ``distance`` away."""
    share, apart = percent / 100, (distance_of(percent) if distance is None else distance) / 100
    if share in {0.0, 1.0}:
        # One request elsewhere refutes it: enough requests that one goes there.
        count = math.ceil(math.log(error) / math.log(1 - apart))
        return Bounds(count, count if share else 0, count if share else 0)
    low, high = 1, 16
    while not _tells(high, share, apart, error):
        low, high = high, high * 2
        if high > _LARGEST:
            raise ValueError(f"{percent:g} % within {distance:g} points needs too many requests")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _tells(middle, share, apart, error) else (middle, high)
    return bounds_of(high, percent, error)


@lru_cache(maxsize=16384)
def bounds_of(requests: int, percent: float, error: float = ERROR) -> Bounds:
    """Return the counts of a share, of this many requests."""
    share = percent / 100
    if share in {0.0, 1.0}:
        exact = round(share) * requests
        return Bounds(requests, exact, exact)
    cumulative = _cumulative(requests, share)
    least = next(count for count, below in enumerate(cumulative) if below > error / 2)
    most = next(count for count, below in enumerate(cumulative) if below >= 1 - error / 2)
    return Bounds(requests, least, most)


def accepted(bounds: Bounds, share: float) -> float:
    """Return how probable it is that requests with this share pass the test."""
    if share in {0.0, 1.0}:
        return float(bounds.allow(round(share) * bounds.requests))
    cumulative = _cumulative(bounds.requests, share)
    below = cumulative[bounds.least - 1] if bounds.least else 0.0
    return max(0.0, cumulative[bounds.most] - below)


def _tells(requests: int, share: float, apart: float, error: float) -> bool:
    bounds = bounds_of(requests, share * 100, error)
    return all(
        accepted(bounds, other) <= error
        for other in (max(0.0, share - apart), min(1.0, share + apart))
    )


def _cumulative(requests: int, share: float) -> list[float]:
    """Return the probability of at most 0, 1, … requests."""
    some, none = math.log(share), math.log1p(-share)
    whole = math.lgamma(requests + 1)
    return [
        *accumulate(
            math.exp(
                whole
                - math.lgamma(count + 1)
                - math.lgamma(requests - count + 1)
                + count * some
                + (requests - count) * none
            )
            for count in range(requests + 1)
        )
    ]
