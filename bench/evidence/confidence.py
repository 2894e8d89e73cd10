"""Ratios with their upper confidence bound. Pure."""

from __future__ import annotations

import math

from bench.frame.rows import Limit, Row


def bound_row(title: str, part: int, whole: int, limit: Limit | None) -> Row:
    """Return a row with the largest percentage that is plausible with 95 % confidence."""
    percent = upper_bound(part, whole) * 100
    return Row(f"{title}, 95 % bound", percent, "%", limit, f"{part:,} of {whole:,}")


def upper_bound(part: int, whole: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of Clopper and Pearson (1934) for a ratio."""
    if part == whole:
        return 1.0
    low, high = part / whole, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(part, whole, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(part: int, whole: int, probability: float) -> float:
    """Return the probability of ``part`` successes or fewer."""
    return math.fsum(
        math.exp(
            math.lgamma(whole + 1)
            - math.lgamma(hits + 1)
            - math.lgamma(whole - hits + 1)
            + hits * math.log(probability)
            + (whole - hits) * math.log1p(-probability)
        )
        for hits in range(part + 1)
    )
