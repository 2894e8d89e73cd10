"""Whether the peers do what their documentation says."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evidence.failures import Errors
from bench.evidence.harm import CanaryErrors, CanaryLatency, Lost
from bench.evidence.peers import PEERS, flagger
from bench.evidence.peers.kayenta import is_high
from bench.evidence.peers.msprt import log_e_value
from bench.evidence.peers.readings import BUCKETS, Increase, Readings
from bench.evidence.rollouts import Outcome
from bench.evidence.scenarios import Scenario
from rollout.evidence.counts import Arm

HEALTHY = Scenario("", (Errors(0.001),))
FAILING = Scenario("", (Errors(0.001), CanaryErrors(1.0)))


def judged(peer: str, scenario: Scenario, seed: int = 1) -> Outcome:
    return scenario.judged_by(peer)(np.random.default_rng(seed))


@pytest.mark.parametrize("peer", PEERS)
def test_a_release_that_fails_everything_is_rolled_back_and_a_healthy_one_promoted(
    peer: str,
) -> None:
    assert judged(peer, FAILING).rolled_back
    assert judged(peer, HEALTHY).promoted


def test_flagger_rolls_back_a_minute_after_its_last_failed_check() -> None:
    outcome = judged("Flagger", FAILING)

    assert outcome.seconds == flagger.INTERVAL_SECONDS * (flagger.THRESHOLD + 1)
    assert outcome.failures == outcome.requests == pytest.approx(1_800, rel=0.1)


def test_flagger_promotes_after_a_check_at_each_weight() -> None:
    assert judged("Flagger", Scenario("")).seconds == 300


def test_flagger_holds_a_canary_that_is_slow_or_silent() -> None:
    slow = Scenario("", (CanaryLatency(1.0, 0.1, ratio=0.05),))
    silent = Scenario("", (Lost(as_neither=True, share=0.1, latest_seconds=0.0),))

    assert judged("Flagger", slow).rolled_back
    assert judged("Flagger", silent).rolled_back


def test_argo_begins_at_forty_percent_and_aborts_at_the_third_bad_measurement() -> None:
    # At 40 percent after ten minutes, then after fifteen and after twenty.
    assert judged("Argo", FAILING).seconds == 1200
    assert judged("Argo", HEALTHY).seconds == 2400
    assert judged("Argo", Scenario("", (Errors(0.001), CanaryErrors(0.03)))).promoted


def test_kayenta_compares_an_hour_and_names_a_metric_high_that_is_shifted() -> None:
    rng = np.random.default_rng(2)
    control = rng.normal(10.0, 1.0, 60)

    assert is_high(control + 2.0, control)
    assert not is_high(control - 2.0, control)
    assert not is_high(rng.normal(10.0, 1.0, 60), control)
    assert not is_high(np.zeros(0), control)
    # Of ten minutes with seven that are a hundred times as high, it sees nothing.
    assert not is_high(np.array([100.0] * 7 + [1.0] * 3), np.ones(10))
    assert judged("Kayenta", HEALTHY).seconds == 3660


def test_the_sequential_test_is_right_about_a_share_that_it_knows() -> None:
    assert log_e_value(900, 100, 0.1) < 0
    assert log_e_value(700, 300, 0.1) > 100


def test_a_quantile_is_interpolated_as_promql_does() -> None:
    slow = np.array([10.0 if bound < 0.25 else 0.0 for bound in BUCKETS])
    found = Increase(10, 0, slow)

    # All ten lie between 100 and 250 ms.
    assert found.quantile(0.5) == pytest.approx(0.175)
    assert np.isnan(Increase(0, 0, slow * 0).quantile(0.5))


def test_an_increase_begins_with_the_second_sample_of_a_series() -> None:
    world = Scenario("").judged_by("Flagger").world(np.random.default_rng(3))
    readings = Readings(world)

    assert readings.read()[Arm.STABLE].requests == 0
    world.sleep(60.0)
    assert readings.read()[Arm.STABLE].requests == pytest.approx(3_000, rel=0.1)
