"""A native histogram, as Prometheus' HTTP API shows it. Pure.

Source: prometheus.io/docs/prometheus/latest/querying/api ("native histograms"): a bucket is the
kind of its boundaries, both boundaries, and the number of values in between; empty buckets are left
out. Boundaries are powers of 2^(1/2^n), where n becomes smaller when there are too many buckets. Or
they are custom ones: those of a classic histogram.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Thresholds are moved up to a power of 2^(1/4), by 19 % at most. All histograms with so many
#: buckets or more have that boundary, so what is within it only grows.
_PER_DOUBLING: Final = 4
#: The most buckets that exponential ones have for a doubling.
_MOST_PER_DOUBLING: Final = 256
#: An exporter may round a boundary differently than we do.
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bucket:
    """The values above ``left``, up to and with ``right``."""

    left: float
    right: float
    count: float


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """``count`` includes all values; no bucket is empty."""

    count: float
    buckets: tuple[Bucket, ...]

    def within(self, bound: float) -> float:
        """Return how many values are at most ``bound``, or not beyond the next boundary."""
        if self._is_exponential:
            steps = math.ceil(math.log2(bound) * _PER_DOUBLING - _TOLERANCE)
            bound = 2 ** (steps / _PER_DOUBLING)
        limit = bound * (1 - _TOLERANCE)
        return sum(each.count for each in self.buckets if each.left < limit)

    @property
    def _is_exponential(self) -> bool:
        positive = (each.right for each in self.buckets if each.left > 0)
        return all(_is_power(right) for right in positive if math.isfinite(right))


def _is_power(boundary: float) -> bool:
    steps = math.log2(boundary) * _MOST_PER_DOUBLING
    return abs(steps - round(steps)) < _TOLERANCE * _MOST_PER_DOUBLING


def parse_histogram(shown: Mapping[str, Any]) -> NativeHistogram:
    """Parse the value of a sample; raise KeyError, TypeError, ValueError or IndexError."""
    buckets = tuple(
        Bucket(float(left), float(right), float(count))
        for _, left, right, count in shown.get("buckets") or ()
    )
    histogram = NativeHistogram(float(shown["count"]), buckets)
    if not all(math.isfinite(each) for each in (histogram.count, *(b.count for b in buckets))):
        raise ValueError("a count that is no number")
    return histogram
