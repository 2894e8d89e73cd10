"""Tests of shares: sure of a right one and of a wrong one, with as few requests as that takes."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from rollout.routing.sample_sizes import (
    IN_DOUBT,
    _cumulative,
    accepted,
    bounds_for,
    bounds_of,
    distance_of,
)


@pytest.mark.parametrize("percent", [0.0, 1.0, 5.0, 10.0, 33.3, 50.0, 90.0, 99.0, 100.0])
def test_a_right_share_passes_and_a_wrong_one_fails_999_times_of_1000(percent: float) -> None:
    bounds = bounds_for(percent)
    apart = distance_of(percent)

    assert accepted(bounds, percent / 100) >= 0.999
    for other in (percent - apart, percent + apart):
        if 0 <= other <= 100:
            assert accepted(bounds, other / 100) <= 0.001


@pytest.mark.parametrize("percent", [1.0, 5.0, 10.0, 33.3, 50.0, 90.0, 99.0])
def test_a_right_share_that_is_counted_again_is_refused_once_in_60_000(percent: float) -> None:
    share, first = percent / 100, bounds_for(percent)
    more = first.requests * IN_DOUBT
    both = bounds_of(first.requests + more, percent)

    once, again = _chances(first.requests, share), _chances(more, share)
    refused = sum(
        chance * (1 - sum(again[max(0, both.least - count) : max(0, both.most - count + 1)]))
        for count, chance in enumerate(once)
        if not first.allow(count)
    )

    assert 0 < refused <= 1 / 60_000


def _chances(requests: int, share: float) -> list[float]:
    """Return the probability of each number of requests with this share."""
    return [after - before for before, after in pairwise([0.0, *_cumulative(requests, share)])]


def test_90_of_100_is_told_from_80_by_counting() -> None:
    bounds, chance = bounds_for(90.0), Random(1)

    def passes(share: float) -> int:
        counts = (sum(chance.random() < share for _ in range(bounds.requests)) for _ in range(300))
        return sum(map(bounds.allow, counts))

    assert (passes(0.9), passes(0.8)) == (300, 0)
