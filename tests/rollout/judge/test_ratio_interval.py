"""The interval for the ratio of two error rates holds the truth at every look, and grows narrow."""

from __future__ import annotations

import json
import random

import pytest

from rollout.evidence.counts import Counts
from rollout.judge.ratio_interval import RatioInterval


def window(draw: random.Random, requests: int, ratio: float) -> Counts:
    return Counts(requests, sum(draw.random() < ratio for _ in range(requests)))


@pytest.mark.parametrize("truth", [0.5, 1.0, 4.0])
def test_the_truth_is_rarely_outside_at_any_look(truth: float) -> None:
    draw = random.Random(20)
    outside = 0
    for _ in range(150):
        interval = RatioInterval()
        missed = False
        for number in range(25):
            # The weights change: at each window the canary gets another share.
            stable = window(draw, 200, 0.02)
            canary = window(draw, 20 + 5 * number, 0.02 * truth)
            interval.add(stable, canary)
            lower, upper = interval.bounds
            missed |= lower is not None and lower > truth
            missed |= upper is not None and upper < truth
        outside += missed

    # 5 % at most; 7.5 of 150 expected where the bound is tight.
    assert outside <= 14


def test_it_grows_narrow_around_the_estimate() -> None:
    interval = RatioInterval()
    for _ in range(50):
        interval.add(Counts(1000, 10), Counts(100, 4))

    lower, upper = interval.bounds

    assert interval.estimate == pytest.approx(4)
    assert lower is not None
    assert upper is not None
    assert 2.5 < lower < 4 < upper < 6


def test_an_outage_of_both_at_another_weight_does_not_move_it() -> None:
    interval = RatioInterval()
    for _ in range(20):
        interval.add(Counts(990, 10), Counts(10, 0))
        interval.add(Counts(500, 250), Counts(500, 250))

    assert interval.estimate == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("stable", "canary", "bounds"),
    [
        (Counts(1000, 0), Counts(1000, 900), (64.0, None)),
        (Counts(1000, 900), Counts(1000, 0), (None, 2.0**-6)),
        (Counts(1000, 0), Counts(1000, 0), (None, None)),
        (Counts(0, 0), Counts(1000, 900), (None, None)),
    ],
)
def test_what_lies_beyond_the_grid_or_is_unknown_has_no_bound(
    stable: Counts, canary: Counts, bounds: tuple[float | None, float | None]
) -> None:
    interval = RatioInterval()

    interval.add(stable, canary)

    assert interval.bounds == bounds


def test_a_saved_interval_continues_as_it_was() -> None:
    interval = RatioInterval()
    interval.add(Counts(1000, 10), Counts(100, 4))
    restored = RatioInterval.load(json.loads(json.dumps(interval.dump())))
    for each in (interval, restored):
        each.add(Counts(1000, 3), Counts(100, 4))

    assert restored.dump() == interval.dump()
    with pytest.raises(ValueError, match="no saved interval"):
        RatioInterval.load({})
    with pytest.raises(ValueError, match="another version"):
        RatioInterval.load({"logs": [[0]], "canary": 0, "stable": 0})
