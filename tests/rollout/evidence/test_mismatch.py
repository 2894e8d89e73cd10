"""Mismatch (SRM): whether requests are split as desired."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rollout.evidence.windows_and_counts import after, counts, gathered, repeated, window


@settings(max_examples=60)
@given(st.integers(0, 40), st.floats(0.001, 0.999))
def test_mismatch_has_the_same_mean_as_before_at_whatever_share_is_desired(
    requests: int, share: float
) -> None:
    canary = round(100 * share)
    evidence = gathered([window(counts(100 - canary), counts(canary))], share)

    mean = sum(
        comb(requests, hits)
        * share**hits
        * (1 - share) ** (requests - hits)
        * after(evidence, window(counts(requests - hits), counts(hits)), share).mismatch
        for hits in range(requests + 1)
    )

    assert mean == pytest.approx(evidence.mismatch, rel=1e-9)


def test_a_split_as_desired_is_no_mismatch_through_all_steps() -> None:
    evidence = gathered([])
    for percent in (0, 1, 5, 10, 25, 50, 100):
        for _ in range(12):
            evidence.observe(
                window(counts(1000 - 10 * percent), counts(10 * percent)), percent / 100
            )

    assert evidence.mismatch < 1
    assert not evidence.mismatched


@pytest.mark.parametrize("canary", [150, 300, 50, 0])
def test_another_split_is_a_mismatch(canary: int) -> None:
    evidence = gathered(repeated(window(counts(1000 - canary), counts(canary)), 3), 0.1)

    assert evidence.mismatched
    assert evidence.mismatch >= 1_000
    assert not evidence.harmful


def test_half_a_percent_of_too_many_is_seen_in_the_end() -> None:
    evidence = gathered([window(counts(895_000), counts(105_000))], 0.1)

    assert evidence.mismatched


@pytest.mark.parametrize(
    ("share", "stable", "canary", "mismatched"),
    [
        (0.0, 200, 1, False),
        (1.0, 1, 200, False),
        (0.0, 100_000, 0, False),
        (1.0, 0, 100_000, False),
        (0.0, 190, 10, True),
        (1.0, 10, 190, True),
        (0.0, 99_000, 1_000, True),
    ],
)
def test_a_few_misrouted_requests_are_no_mismatch(
    share: float, stable: int, canary: int, mismatched: bool
) -> None:
    evidence = gathered([window(counts(stable), counts(canary))], share)

    assert evidence.mismatched is mismatched


def test_where_requests_choose_for_themselves_their_split_says_nothing() -> None:
    evidence = gathered([])
    evidence.observe(window(counts(50), counts(50)), 0.0, split=False)

    assert evidence.mismatch == pytest.approx(1)


def test_what_is_not_split_by_weight_can_not_mismatch() -> None:
    assert gathered([window(counts(1), counts(999))], None).mismatch == pytest.approx(1)
