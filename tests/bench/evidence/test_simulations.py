"""Whether the simulations of the evidence are right."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evidence import flagger
from bench.evidence.bad_releases import BadRelease
from bench.evidence.confidence import upper_bound
from bench.evidence.counters import Counters
from bench.evidence.good_releases import GoodRelease, shared_outage
from bench.evidence.ratio_mismatch import compare_with_fixed_weights, fixed_weights
from bench.evidence.recorded_traffic import Behaviour, Recording


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


def test_the_replica_promotes_a_good_release_after_a_check_at_each_weight() -> None:
    verdict = flagger.judge(Recording(rng(2), rps=50), Behaviour(0.0))

    assert verdict.promoted
    assert verdict.seconds == 300


def test_the_replica_holds_a_canary_that_is_slow_or_has_no_requests() -> None:
    slow = Behaviour(0.0, delayed_ratio=0.02, delay_seconds=1.0)

    assert not flagger.judge(Recording(rng(3), rps=50), slow).promoted
    assert not flagger.judge(Recording(rng(4), rps=0), Behaviour(0.0)).promoted


def test_both_algorithms_judge_the_same_requests_which_never_change() -> None:
    recording = Recording(rng(5), rps=50)
    later, first = recording.block(3), recording.block(0)

    assert recording.block(3) is later
    assert recording.block(0) is first
    assert np.all(first.canary(0.5) | ~first.canary(0.1))


def test_fixed_weights_are_right_about_a_share_that_they_know() -> None:
    assert fixed_weights(900, 100) < 0
    assert fixed_weights(700, 300) > 100


def test_a_seed_always_draws_the_same_rollout() -> None:
    good = GoodRelease(0.005, 10, 600.0)

    assert good(rng(6)) == good(rng(6))


def test_good_releases_are_seldom_rolled_back() -> None:
    outcomes = [GoodRelease(0.05, 50, 300.0)(rng(7, number)) for number in range(60)]

    # With at most 1 % of them on average, more than 4 of 60 has a probability of 4 in 10,000.
    assert sum(outcome.rolled_back for outcome in outcomes) <= 4


def test_fixed_weights_roll_back_where_shares_drift_and_the_evidence_does_not() -> None:
    pairs = [compare_with_fixed_weights(rng(8, number)) for number in range(10)]

    assert sum(ours for ours, _ in pairs) == 0
    assert sum(theirs for _, theirs in pairs) == 10


def test_a_shared_outage_rolls_nobody_back() -> None:
    outcomes = [shared_outage(rng(9, number)) for number in range(10)]

    assert not any(outcome.rolled_back for outcome in outcomes)
    assert all(outcome.failures > 0 for outcome in outcomes)


def test_harm_is_found_before_flagger_finds_it() -> None:
    for number in range(5):
        ours, theirs = BadRelease(Behaviour(1.0), starts_at_ten_percent=True)(rng(10, number))

        assert ours.rolled_back
        assert ours.failures <= 50 < theirs.failures


@pytest.mark.parametrize("restarts", [False, True])
def test_requests_are_never_counted_twice_when_scrapes_are_missed(restarts: bool) -> None:
    found = [Counters(restarts)(rng(11, number)) for number in range(4)]

    assert sum(each.too_many + each.overlapping for each in found) == 0
    assert (sum(each.other for each in found) > 0) is restarts
    assert not any(each.rolled_back for each in found)
    assert max(each.difference for each in found) < 1e-9
