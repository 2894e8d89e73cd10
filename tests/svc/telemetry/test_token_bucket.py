"""The limits per second: of sampled requests, and of access lines."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.telemetry import token_bucket
from svc.telemetry.instruments import Counter
from svc.telemetry.sampling import Sampler
from svc.telemetry.token_bucket import TokenBucket

#: The tolerance for floating point sums.
ROUNDING: Final = 1e-6
ASKED: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Clock:
    """A clock that the test advances."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(token_bucket, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_seconds_worth_passes_at_once_and_then_one_at_a_time(clock: Clock) -> None:
    bucket = TokenBucket(4)

    assert [bucket.take() for _ in range(6)] == [True] * 4 + [False] * 2
    clock.now += 0.25
    assert [bucket.take() for _ in range(2)] == [True, False]


def test_what_was_not_taken_in_a_second_is_not_saved_up(clock: Clock) -> None:
    bucket = TokenBucket(4)

    clock.now += 3600

    assert sum(bucket.take() for _ in range(100)) == 4


def test_less_than_one_a_second_passes_now_and_then(clock: Clock) -> None:
    bucket = TokenBucket(0.5)
    passed = []

    for _ in range(41):
        if bucket.take():
            passed.append(clock.now)
        clock.now += 0.5

    gaps = {after - before for before, after in itertools.pairwise(passed)}
    assert gaps == {2.0}
    assert len(passed) >= 9


def test_zero_is_no_limit(clock: Clock) -> None:
    bucket = TokenBucket(0)

    assert all(bucket.take() for _ in range(10_000))


@given(
    per_second=st.floats(0.01, 1000),
    steps=st.lists(st.floats(0, 10), max_size=200),
)
def test_no_interval_passes_more_than_its_share(per_second: float, steps: list[float]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        bucket = TokenBucket(per_second)
        passed = []
        for step in steps:
            clock.now += step
            if bucket.take():
                passed.append(clock.now)

    at_once = max(1.0, per_second)
    for i, first in enumerate(passed):
        for j, last in enumerate(passed[i:], 1):
            assert j <= at_once + (last - first) * per_second + ROUNDING


@given(per_second=st.floats(0.01, 1000), wait=st.floats(1, 10))
def test_after_a_long_enough_wait_the_next_one_passes(per_second: float, wait: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        bucket = TokenBucket(per_second)
        while bucket.take():
            pass

        clock.now += wait / per_second * (1 + ROUNDING)

        assert bucket.take()


def test_a_sampled_request_above_the_cap_is_not_sampled_and_counted_as_capped(
    clock: Clock,
) -> None:
    decisions = Counter("decisions", "")
    decide = Sampler(1.0, parent_based=True, per_second=3, decisions=decisions).decide

    asked = [decide(ASKED) for _ in range(5)]
    clock.now += 1
    drawn = [decide(None) for _ in range(4)]

    assert [each.sampled for each in asked] == [True] * 3 + [False] * 2
    assert [each.sampled for each in drawn] == [True] * 3 + [False]
    # It still belongs to its caller's trace.
    assert {each.trace_id for each in asked} == {ASKED[3:35]}
    assert decisions == {
        ("parent", "sampled"): 3,
        ("parent", "capped"): 2,
        ("root", "sampled"): 3,
        ("root", "capped"): 1,
    }


def test_what_is_not_sampled_takes_nothing_from_the_cap(clock: Clock) -> None:
    decisions = Counter("decisions", "")
    decide = Sampler(0.0, parent_based=True, per_second=1, decisions=decisions).decide

    for _ in range(1000):
        decide(None)
        decide(ASKED[:-1] + "0")

    assert decide(ASKED).sampled
