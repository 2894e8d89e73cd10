"""A canary that gives no successful answer while the old release gives some."""

from __future__ import annotations

import json

import pytest

from rollout.evidence import Evidence
from rollout.evidence.counts import Arm, Counts
from tests.rollout.evidence.windows_and_counts import OBJECTIVE, counts

STABLE, CANARY, NEITHER = Arm.STABLE, Arm.CANARY, Arm.NEITHER


def heard(*readings: dict[Arm, Counts], share: float = 0.1, least_seconds: float = 0.0) -> Evidence:
    """Return the evidence of readings that follow one another, 5 s each."""
    evidence = Evidence(OBJECTIVE)
    for latest in readings:
        evidence.listen(latest, share, 5.0, least_seconds=least_seconds)
    return evidence


@pytest.mark.parametrize("canary", [{}, {CANARY: counts(20, 20)}], ids=["gone", "fails all"])
def test_a_canary_without_a_successful_answer_is_silent(canary: dict[Arm, Counts]) -> None:
    # A tenth of 100 requests: eleven answers are missing.
    assert heard({STABLE: counts(100), **canary}).silent
    assert not heard({STABLE: counts(80), **canary}).silent


def test_one_answer_ends_a_silence() -> None:
    assert not heard({STABLE: counts(80)}, {STABLE: counts(80), CANARY: counts(1)}).silent


def test_requests_that_reach_no_release_need_fewer_missing_answers() -> None:
    assert heard({STABLE: counts(40), NEITHER: counts(4, 4)}).silent
    assert not heard({STABLE: counts(40), NEITHER: counts(4, 3)}).silent


def test_an_outage_of_the_old_release_too_is_no_silence() -> None:
    readings = [{STABLE: counts(100)}, {STABLE: counts(100, 50)}]

    assert not heard(*readings, least_seconds=10).silent


@pytest.mark.parametrize(("times", "silent"), [(1, False), (2, True)])
def test_a_silence_lasts_as_long_as_it_must(times: int, silent: bool) -> None:
    assert heard(*[{STABLE: counts(500)}] * times, least_seconds=10).silent is silent


def test_a_runner_that_starts_again_still_waits() -> None:
    evidence = heard({STABLE: counts(500)}, least_seconds=10)

    resumed = Evidence.load(OBJECTIVE, json.loads(json.dumps(evidence.dump())))

    assert not resumed.silent
    resumed.listen({STABLE: counts(500)}, 0.1, 5.0, least_seconds=10)
    assert resumed.silent


def test_a_reading_without_a_new_sample_is_no_silence() -> None:
    evidence = Evidence(OBJECTIVE)
    for _ in range(10):
        # Five seconds of requests, every other time that is asked.
        evidence.listen({CANARY: counts(250)}, 1.0, 5.0)
        evidence.listen({}, 1.0, 0.0)

    assert not evidence.silent
    evidence.listen({CANARY: counts(0)}, 1.0, 1.0)
    assert evidence.silent


def test_failures_of_a_canary_that_is_alone_are_no_silence() -> None:
    evidence = Evidence(OBJECTIVE)
    for failures in (0, 250, 250):
        evidence.listen({CANARY: counts(250, failures)}, 1.0, 5.0)

    assert not evidence.silent


def test_few_clients_may_be_quiet_for_longer() -> None:
    few = heard({STABLE: counts(1400)}, share=0.01)
    known = heard({STABLE: counts(9900), CANARY: counts(100)}, {STABLE: counts(1400)}, share=0.01)

    assert not few.silent
    assert known.silent


def test_one_answer_of_an_old_release_with_few_requests_is_little_evidence() -> None:
    assert not heard({STABLE: counts(2)}, share=0.98).silent
    assert heard({STABLE: counts(6)}, share=0.98).silent
