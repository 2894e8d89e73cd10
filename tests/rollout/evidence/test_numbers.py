"""E-values as numbers: saved and loaded, recomputed, very large, and impossible input."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.evidence.objective import Objective
from tests.rollout.evidence.windows_and_counts import OBJECTIVE, counts, gathered, window

E_VALUES = ("harm", "harm_errors", "merit", "breach", "mismatch")
SHARES = st.one_of(st.none(), st.sampled_from((0.0, 0.01, 0.25, 1.0)))


@st.composite
def some_counts(draw: st.DrawFn, most: int) -> Counts:
    requests = draw(st.integers(0, most))
    failures = draw(st.integers(0, requests))
    return Counts(requests, failures, tuple(draw(st.integers(failures, requests)) for _ in "ab"))


def some_windows(most: int) -> st.SearchStrategy[list[tuple[Window, float | None]]]:
    one = st.builds(window, some_counts(most), some_counts(most))
    return st.lists(st.tuples(one, SHARES), max_size=12)


def fed(evidence: Evidence, seen: list[tuple[Window, float | None]]) -> Evidence:
    for each, share in seen:
        evidence.observe(each, share)
    return evidence


@settings(max_examples=100)
@given(some_windows(10**9))
def test_no_number_overflows_or_is_none(seen: list[tuple[Window, float | None]]) -> None:
    evidence = fed(Evidence(OBJECTIVE), seen)

    for name in E_VALUES[:-1]:
        assert math.isfinite(getattr(evidence, name))
        assert getattr(evidence, name) >= 0
    assert evidence.mismatch >= 0
    assert all(map(math.isfinite, evidence.harm_slow.values()))


@settings(max_examples=60)
@given(some_windows(1_000), some_windows(1_000))
def test_loaded_evidence_continues_bit_for_bit(
    before: list[tuple[Window, float | None]], later: list[tuple[Window, float | None]]
) -> None:
    uninterrupted = fed(Evidence(OBJECTIVE), before)
    text = json.dumps(uninterrupted.dump(), allow_nan=False)
    resumed = Evidence.load(OBJECTIVE, json.loads(text))

    fed(uninterrupted, later)
    fed(resumed, later)

    assert resumed.dump() == uninterrupted.dump()
    assert [getattr(resumed, name) for name in E_VALUES] == [
        getattr(uninterrupted, name) for name in E_VALUES
    ]


def test_windows_are_summed() -> None:
    evidence = gathered([window(counts(90, 2), counts(10, 1))] * 3)

    assert evidence.stable == counts(270, 6)
    assert evidence.canary == counts(30, 3)


@pytest.mark.parametrize(
    ("one", "share", "field"),
    [
        (window(counts(-1)), None, r"stable\.requests"),
        (window(None, counts(3, 4)), None, r"canary\.failures"),
        (window(None, counts(3, -1, (0, 0))), None, r"canary\.failures"),
        (window(counts(3, 0, (4, 0))), None, r"stable\.slow"),
        (window(counts(3, 0, (0, -1))), None, r"stable\.slow"),
        (window(counts(3, 0, (0,))), None, r"stable\.slow"),
        (replace(window(), until=-1.0), None, "until"),
        (replace(window(), since=math.nan), None, "until"),
        (window(), 1.1, "share"),
        (window(), -0.1, "share"),
        (window(), math.nan, "share"),
    ],
)
def test_an_impossible_window_is_refused(one: Window, share: float | None, field: str) -> None:
    evidence = gathered([window(counts(9, 1), counts(1, 1))])
    known = evidence.dump()

    with pytest.raises(ValueError, match=f"^{field}: "):
        evidence.observe(one, share)

    assert evidence.dump() == known


@pytest.mark.parametrize(
    ("objective", "field"),
    [
        (Objective(error_ratio=0.0), "error_ratio"),
        (Objective(error_ratio=1.0), "error_ratio"),
        (Objective(false_rollback=0.0), "false_rollback"),
        (Objective(false_promotion=math.nan), "false_promotion"),
        (Objective(slow_seconds=(0.1, 0.1)), "slow_seconds"),
        (Objective(slow_seconds=(0.0,)), "slow_seconds"),
    ],
)
def test_an_impossible_objective_is_refused(objective: Objective, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Evidence(objective)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 1}, "format"),
        ({"objective": {}}, "objective"),
        ({"errors": {"logs": [0.0]}}, "9 finite numbers"),
        ({"merit": {"logs": [math.nan] * 9, "open": None}}, "9 finite numbers"),
        ({"slow": []}, "slow"),
        ({"slow": None}, "no saved evidence"),
        ({"stable": {"requests": 1}}, "no saved evidence"),
        ({"canary": {"requests": 1, "failures": 2, "slow": [0, 0]}}, "canary.failures"),
    ],
)
def test_other_data_is_not_loaded(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Evidence.load(OBJECTIVE, Evidence(OBJECTIVE).dump() | change)


def test_evidence_for_another_objective_is_not_loaded() -> None:
    dumped = Evidence(OBJECTIVE).dump()

    with pytest.raises(ValueError, match="objective"):
        Evidence.load(replace(OBJECTIVE, error_ratio=0.02), dumped)


def test_what_the_last_version_saved_is_read() -> None:
    evidence = gathered([window(counts(90, 2), counts(10, 1))] * 3)
    dumped = json.loads(json.dumps(evidence.dump()))
    # It knew no drift, and no outage of both in the merit.
    del dumped["drift"]
    dumped |= {"format": 2, "merit": dumped["merit"]["logs"], "silence": [0.0] * 9}

    assert Evidence.load(OBJECTIVE, dumped).dump() == evidence.dump()
