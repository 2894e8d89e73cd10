"""Merit and breach: the canary's error ratio compared with the objective."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.evidence import Evidence
from rollout.evidence.objective import Objective
from tests.rollout.evidence.windows_and_counts import (
    EDGES,
    OBJECTIVE,
    after,
    counts,
    gathered,
    repeated,
    window,
)

LIMIT = OBJECTIVE.error_ratio


def mean_of(name: str, requests: int, chance: float, evidence: Evidence) -> float:
    """Return the mean e-value after ``requests`` requests that each fail with ``chance``."""
    return sum(
        comb(requests, hits)
        * chance**hits
        * (1 - chance) ** (requests - hits)
        * float(getattr(after(evidence, window(None, counts(requests, hits)), 1.0), name))
        for hits in range(requests + 1)
    )


@settings(max_examples=60)
@given(st.integers(0, 40), st.floats(LIMIT, 1), st.integers(0, 3))
def test_merit_does_not_grow_on_average_while_the_objective_is_missed(
    requests: int, chance: float, failures: int
) -> None:
    evidence = gathered([window(None, counts(300, failures))])

    assert mean_of("merit", requests, chance, evidence) <= evidence.merit * (1 + 1e-9)


@settings(max_examples=60)
@given(st.integers(0, 40), st.floats(0, LIMIT), st.integers(0, 10))
def test_breach_does_not_grow_on_average_while_the_objective_is_kept(
    requests: int, chance: float, failures: int
) -> None:
    evidence = gathered([window(None, counts(300, failures))], 1.0)

    assert mean_of("breach", requests, chance, evidence) <= evidence.breach * (1 + 1e-9)


def test_the_means_are_those_of_what_can_grow() -> None:
    """Test of the tests above: e-values do grow under the alternative."""
    evidence = Evidence(OBJECTIVE)

    assert mean_of("merit", 40, 0.0, evidence) > 1.2
    assert mean_of("breach", 40, 0.1, evidence) > 10


@pytest.mark.parametrize(
    ("error_ratio", "least", "most"), [(0.01, 299, 400), (0.001, 2_995, 4_000), (0.05, 59, 80)]
)
def test_no_errors_prove_merit_only_after_enough_requests(
    error_ratio: float, least: int, most: int
) -> None:
    evidence = Evidence(Objective(error_ratio=error_ratio, slow_seconds=EDGES))
    while not evidence.proven:
        evidence.observe(window(None, counts(1)), None)

    assert least <= evidence.canary.requests <= most
    assert evidence.merit >= 20


def test_errors_well_below_the_objective_prove_merit_too() -> None:
    assert gathered([window(None, counts(4_000, 20))]).proven


def test_errors_at_the_objective_prove_nothing() -> None:
    evidence = gathered([window(None, counts(100_000, 1_000))], 1.0)

    assert not evidence.proven
    assert not evidence.breached


def test_nothing_seen_proves_nothing() -> None:
    evidence = gathered([window()] * 1_000, 0.5)

    assert evidence.merit == pytest.approx(1)
    assert evidence.breach == evidence.mismatch == pytest.approx(1)
    assert not any((evidence.harmful, evidence.proven, evidence.breached, evidence.mismatched))


def test_a_canary_alone_that_misses_the_objective_is_a_breach() -> None:
    evidence = gathered([window(None, counts(250, 20))] * 3, 1.0)

    assert evidence.breached
    assert evidence.harm == pytest.approx(0.9)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, None])
def test_what_fails_beside_stable_is_no_breach(share: float | None) -> None:
    assert gathered([window(counts(250, 20), counts(250, 20))], share).breach == 1


def test_a_breach_leaves_harm_its_part_of_false_rollbacks() -> None:
    """If each had the threshold 1/false_rollback, the error probability would be twice that."""
    evidence = Evidence(OBJECTIVE)
    while not evidence.breached:
        evidence.observe(window(None, counts(10, 1)), 1.0)

    assert evidence.breach * 0.1 + evidence.harm >= 1 / OBJECTIVE.false_rollback
    assert evidence.breach >= 1_000


def test_an_outage_of_both_at_a_holdback_takes_no_merit() -> None:
    evidence = gathered(repeated(window(counts(1), counts(100)), 10), 0.98)
    assert evidence.proven
    before = evidence.merit

    # The old release has a request now and then, and one of them came just before the outage.
    for old in (counts(1), counts(), counts(2, 2)):
        evidence.observe(window(old, counts(100, 100)), 0.98)
        assert not evidence.proven
    evidence.observe(window(counts(1), counts(100)), 0.98)

    assert evidence.proven
    assert evidence.merit >= before


def test_an_outage_of_the_canary_at_a_holdback_does() -> None:
    evidence = gathered(repeated(window(counts(1), counts(100)), 10), 0.98)

    evidence.observe(window(counts(2), counts(100, 100)), 0.98)
    evidence.observe(window(counts(1), counts(100)), 0.98)

    assert not evidence.proven
