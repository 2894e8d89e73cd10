"""A native histogram, as Prometheus' HTTP API shows it. Pure.

Source: prometheus.io/docs/prometheus/latest/querying/api ("native histograms"): a bucket is the
kind of its boundaries, both boundaries, and the number of values in between; empty buckets are left
out. Exponential buckets have no value of a rule of ours as boundary, save by chance; those with
custom boundaries are a classic histogram's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: A bucket whose boundaries differ by more can't tell requests around a threshold apart.
_COARSE: Final = 1.2
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
        """Return how many values are at most ``bound``, or in the bucket that it lies in."""
        limit = bound * (1 - _TOLERANCE)
        return sum(each.count for each in self.buckets if each.left < limit)

    def is_coarse_at(self, bound: float) -> bool:
        """Return True if the bucket around ``bound`` is too wide to tell what is beyond it."""
        return any(
            each.left < bound * (1 - _TOLERANCE)
            and each.right > max(bound * (1 + _TOLERANCE), _COARSE * each.left)
            for each in self.buckets
        )


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
