"""What one incident may explain, and what it may not."""

from __future__ import annotations

from rollout.evidence.harm import HarmTest
from rollout.evidence.incident import FIRST, Span

RATE = 200


def counted(hits: list[int], *, brief: bool) -> float:
    """Return how many hits count, of windows of one second with RATE requests each."""
    span = Span()
    return sum(
        span.add(number, RATE, (float(at), at + 1.0), 0.0, brief=brief)
        for at, number in enumerate(hits)
    )


def test_two_seconds_in_which_one_pod_of_three_fails_are_one_incident() -> None:
    for hits in ([0, 67, 67, 0, 0], [0, 23, 67, 44, 0], [67, 67, 0, 0, 0]):
        assert counted(hits, brief=True) == FIRST


def test_failures_all_the_time_are_no_brief_incident() -> None:
    # Three windows of five may hold one incident; the hits of the others count.
    assert counted([60] * 5, brief=True) == FIRST + 2 * 60
    assert counted([60] * 5, brief=False) == FIRST


def test_a_long_window_holds_one_incident_as_before() -> None:
    span = Span()

    assert span.add(400, 30 * RATE, (0.0, 30.0), 0.0, brief=True) == FIRST


def test_a_restart_changes_nothing() -> None:
    whole, halved = Span(), Span()
    for at in range(5):
        whole.add(60, RATE, (float(at), at + 1.0), 0.0, brief=True)
        halved.add(60, RATE, (float(at), at + 1.0), 0.0, brief=True)
        halved = Span.load(halved.dump())

    assert halved.dump() == whole.dump()


def test_what_the_last_version_saved_is_read() -> None:
    assert Span.load([0.0, 1.0, 5, 200, 2.0, 2.0]).dump() == [0.0, 1.0, 5, 200, 2.0, 2.0, []]


def test_a_canary_that_fails_a_third_at_a_high_rate_is_worse_within_seconds() -> None:
    test = HarmTest(brief=True)
    for at in range(60):  # before it fails
        test.add((0, RATE), (0, RATE), (float(at), at + 1.0), 2.0)
    seconds = 0.0
    while test.log < 10:
        now = 60.0 + seconds
        test.add((RATE // 3, RATE), (0, RATE), (now, now + 1.0), 2.0)
        seconds += 1
        assert seconds < 10, test.log
