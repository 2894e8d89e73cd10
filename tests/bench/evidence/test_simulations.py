"""The simulations that hold the evidence to its promises: whether they can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evidence import flagger
from bench.evidence.counters import Counters
from bench.evidence.harm import Harmful
from bench.evidence.innocent import Innocent
from bench.evidence.outage import shared_outage
from bench.evidence.recording import Behaviour, Recording
from bench.evidence.rows import upper_bound
from bench.evidence.skew import compare_with_fixed_weights, fixed_weights


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("part", "whole", "bound"),
    # The first is the rule of three, -ln(0.05)/n; the others from tables of the beta quantile.
    [(0, 200, 0.014867), (1, 10, 0.394163), (5, 10, 0.777559), (10, 10, 1.0)],
)
def test_a_bound_is_that_of_clopper_and_pearson(part: int, whole: int, bound: float) -> None:
    assert upper_bound(part, whole) == pytest.approx(bound, abs=1e-5)


def test_the_replica_rolls_back_a_tick_after_its_last_failed_check() -> None:
    verdict = flagger.judge(Recording(rng(1), rps=50), Behaviour(1.0))

    assert not verdict.promoted
    assert verdict.seconds == flagger.INTERVAL_SECONDS * (flagger.THRESHOLD + 1)
    assert verdict.failures == verdict.requests == pytest.approx(1_800, rel=0.1)


def test_the_replica_promotes_what_is_good_after_a_check_at_each_weight() -> None:
    verdict = flagger.judge(Recording(rng(2), rps=50), Behaviour(0.0))

    assert verdict.promoted
    assert verdict.seconds == 300


def test_the_replica_holds_a_canary_that_is_slow_or_has_no_requests() -> None:
    slow = Behaviour(0.0, delayed_ratio=0.02, delay_seconds=1.0)

    assert not flagger.judge(Recording(rng(3), rps=50), slow).promoted
    assert not flagger.judge(Recording(rng(4), rps=0), Behaviour(0.0)).promoted


def test_both_judges_see_the_same_requests_which_never_change() -> None:
    recording = Recording(rng(5), rps=50)
    later, first = recording.block(3), recording.block(0)

    assert recording.block(3) is later
    assert recording.block(0) is first
    assert np.all(first.canary(0.5) | ~first.canary(0.1))


def test_fixed_weights_are_right_about_a_split_that_they_know() -> None:
    assert fixed_weights(900, 100) < 0
    assert fixed_weights(700, 300) > 100


def test_one_seed_draws_one_rollout() -> None:
    innocent = Innocent(0.005, 10, 600.0)

    assert innocent(rng(6)) == innocent(rng(6))


def test_innocent_releases_are_seldom_rolled_back() -> None:
    endings = [Innocent(0.05, 50, 300.0)(rng(7, number)) for number in range(60)]

    # 1 % of them, on average, at most: more than 4 of 60 has a chance of 4 in 10,000.
    assert sum(ending.rolled_back for ending in endings) <= 4


def test_fixed_weights_roll_back_where_shares_drift_and_the_evidence_does_not() -> None:
    pairs = [compare_with_fixed_weights(rng(8, number)) for number in range(10)]

    assert sum(ours for ours, _ in pairs) == 0
    assert sum(theirs for _, theirs in pairs) == 10


def test_a_shared_outage_rolls_nobody_back() -> None:
    endings = [shared_outage(rng(9, number)) for number in range(10)]

    assert not any(ending.rolled_back for ending in endings)
    assert all(ending.failures > 0 for ending in endings)


def test_harm_is_seen_before_flagger_sees_it() -> None:
    for number in range(5):
        ours, theirs = Harmful(Behaviour(1.0), at_ten_percent=True)(rng(10, number))

        assert ours.rolled_back
        assert ours.failures <= 50 < theirs.failures


@pytest.mark.parametrize("restarts", [False, True])
def test_counters_that_are_read_badly_are_never_counted_twice(restarts: bool) -> None:
    found = [Counters(restarts)(rng(11, number)) for number in range(4)]

    assert sum(each.too_many + each.overlapping for each in found) == 0
    assert (sum(each.other for each in found) > 0) is restarts
    assert not any(each.rolled_back for each in found)
    assert max(each.difference for each in found) < 1e-9
