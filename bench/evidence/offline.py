"""The e-values computed from all windows at once, by other code than the evidence's. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from rollout.evidence.counts import Counts, Window
from rollout.evidence.objective import Objective

Seen = Sequence[tuple[Window, float | None]]
#: Hits, trials and the probability under the null hypothesis, of one window.
Trial = tuple[int, int, float]

WORSE = [1.3 * 1.7**power for power in range(8)]
BETTER = [0.001, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9]
ELSEWHERE = [math.exp(sign * 0.02 * 2**power) for power in range(9) for sign in (-1, 1)]


def recompute(objective: Objective, seen: Seen) -> dict[str, float]:
    """Return the logarithm of each e-value."""
    limit = objective.error_ratio
    errors = _log(WORSE, _compared(seen, lambda counts: counts.failures))
    slow = [
        _log(WORSE, _compared(seen, lambda counts, edge=edge: counts.slow[edge]))  # type: ignore[misc]
        for edge in range(len(objective.slow_seconds))
    ]
    alone = [(window.canary.failures, window.canary.requests, limit) for window, _ in seen]
    last = [trial for trial, (_, share) in zip(alone, seen, strict=True) if share == 1]
    misrouted = [
        (window.canary.requests if share == 0 else window.stable.requests, window.requests, 0.002)
        for window, share in seen
        if share in {0, 1}
    ]
    split = [
        (window.canary.requests, window.requests, share)
        for window, share in seen
        if share is not None and 0 < share < 1
    ]
    parts = [(0.6, errors), *((0.3 / len(slow), each) for each in slow)] if slow else []
    return {
        "harm": _mean(parts or [(0.9, errors)]),
        "errors": errors,
        "merit": _log(BETTER, alone),
        "breach": _log(WORSE, last),
        "mismatch": _mean([(0.5, _log(ELSEWHERE, split)), (0.5, _log(WORSE, misrouted))]),
    }


def _compared(seen: Seen, bad: Callable[[Counts], int]) -> list[Trial]:
    return [
        (
            bad(window.canary),
            bad(window.canary) + bad(window.stable),
            window.canary.requests / window.requests,
        )
        for window, _ in seen
        if window.requests
    ]


def _log(ratios: Iterable[float], trials: Sequence[Trial]) -> float:
    products = [
        math.fsum(
            hits * math.log(ratio) - count * math.log1p(probability * (ratio - 1))
            for hits, count, probability in trials
        )
        for ratio in ratios
    ]
    return _mean([(1 / len(products), product) for product in products])


def _mean(parts: Sequence[tuple[float, float]]) -> float:
    greatest = max(log for _, log in parts)
    return greatest + math.log(
        math.fsum(weight * math.exp(log - greatest) for weight, log in parts)
    )
