"""A native histogram, as Prometheus' HTTP API shows it. Pure.

Source: prometheus.io/docs/prometheus/latest/querying/api ("native histograms"): a bucket is the
kind of its boundaries, both boundaries, and the number of values in between; empty buckets are left
out. Boundaries are powers of 2^(1/2^n), where n becomes smaller when there are too many buckets. Or
they are custom ones: those of a classic histogram.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

    def within(self, bounds: Sequence[float]) -> list[float]:
        """Return, for each bound, how many values are not beyond the next boundary from it on."""
        if self._is_exponential:
            bounds = [_next_power(bound) for bound in bounds]
        limits = [bound * (1 - _TOLERANCE) for bound in bounds]
        return [sum(each.count for each in self.buckets if each.left < limit) for limit in limits]

    @property
    def _is_exponential(self) -> bool:
        positive = (each.right for each in self.buckets if each.left > 0)
        return all(_is_power(right) for right in positive if math.isfinite(right))


def _next_power(bound: float) -> float:
    steps = math.ceil(math.log2(bound) * _PER_DOUBLING - _TOLERANCE)
    return float(2 ** (steps / _PER_DOUBLING))


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
