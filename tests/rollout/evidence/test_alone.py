"""A canary that has all requests is compared with how fast the old release was before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollout.evidence import Evidence
from rollout.evidence.counts import Window
from tests.rollout.evidence.windows_and_counts import OBJECTIVE, counts, window


def seen(old_slow: int, canary_slow: int, windows: int) -> Evidence:
    """Return the evidence of 400 old requests, and of 500 of the canary alone in each window."""
    evidence = Evidence(OBJECTIVE)
    for number, (share, each) in enumerate(_windows(old_slow, canary_slow, windows)):
        since = 5.0 * number
        evidence.observe(Window(since, since + 5, each.stable, each.canary), share)
    return evidence


def _windows(old_slow: int, canary_slow: int, windows: int) -> Iterator[tuple[float, Window]]:
    for _ in range(4):
        yield 0.0, window(counts(100, slow=(old_slow, 0)))
    for _ in range(windows):
        yield 1.0, window(canary=counts(500, slow=(canary_slow, 0)))


@pytest.mark.parametrize("old_slow", [100, 99])
def test_a_threshold_that_nearly_all_answers_exceed_tells_nothing(old_slow: int) -> None:
    """However long it goes on, and however few requests the old release had."""
    assert not seen(old_slow, 500, windows=400).slow_alone


def test_a_canary_that_has_become_slower_is_found() -> None:
    assert seen(10, 400, windows=2).slow_alone
    assert seen(60, 495, windows=20).slow_alone
    assert not seen(60, 350, windows=400).slow_alone
