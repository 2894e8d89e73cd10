"""From readings to windows: nothing twice, nothing over other times than the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rollout.evidence.counts import Arm, Counts, Reading, Series, Window
from rollout.evidence.windows import GONE_SECONDS, difference

OLD = Series(Arm.STABLE, "old-1")
OTHER = Series(Arm.STABLE, "old-2")
NEW = Series(Arm.CANARY, "new-1")


def counts(requests: int, failures: int = 0, slow: int = 0) -> Counts:
    return Counts(requests, failures, (slow,))


def reading(
    at: float, found: Mapping[Series, Counts], started: Mapping[Series, float] | None = None
) -> Reading:
    return Reading(at, found, started or {})


def windows(*readings: Reading) -> list[Window]:
    baseline, found = readings[0], []
    for newer in readings[1:]:
        window, baseline = difference(baseline, newer, edges=1)
        found.append(window)
    return found


def test_what_was_added_is_summed_by_arm() -> None:
    found = windows(
        reading(10, {OLD: counts(100, 5, 9), OTHER: counts(50), NEW: counts(7)}),
        reading(15, {OLD: counts(103, 6, 11), OTHER: counts(54, 1, 1), NEW: counts(9, 2, 2)}),
        reading(20, {OLD: counts(104, 6, 11), OTHER: counts(54, 1, 1), NEW: counts(9, 2, 2)}),
    )

    assert found == [
        Window(10, 15, stable=counts(7, 2, 3), canary=counts(2, 2, 2)),
        Window(15, 20, stable=counts(1), canary=counts(0)),
    ]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (counts(100, 5, 9), counts(3, 1, 1)),
        # Requests have overtaken already; what they are made of has not.
        (counts(100, 5, 9), counts(120, 4, 9)),
        (counts(100, 5, 9), counts(120, 5, 8)),
    ],
)
def test_a_counter_that_fell_counts_from_zero(before: Counts, now: Counts) -> None:
    (found,) = windows(reading(10, {NEW: before}), reading(15, {NEW: now}))

    assert found.canary == now


def test_a_restart_is_known_by_when_it_began_too() -> None:
    (found,) = windows(
        reading(10, {NEW: counts(5)}, {NEW: 2.0}), reading(15, {NEW: counts(30)}, {NEW: 12.0})
    )

    assert found.canary == counts(30)


def test_a_clock_that_is_ahead_makes_no_restart() -> None:
    (found,) = windows(
        reading(10, {NEW: counts(5)}, {NEW: 13.0}), reading(15, {NEW: counts(30)}, {NEW: 13.0})
    )

    assert found.canary == counts(25)


def test_a_beginning_that_wavers_makes_no_restart() -> None:
    (found,) = windows(
        reading(10, {NEW: counts(5)}, {NEW: 2.0}), reading(15, {NEW: counts(30)}, {NEW: 2.004})
    )

    assert found.canary == counts(25)


def test_a_new_instance_counts_from_zero_if_it_is_known_to_be_new() -> None:
    first = reading(10, {OLD: counts(100)})

    (young,) = windows(first, reading(15, {OLD: counts(100), NEW: counts(4)}, {NEW: 11.0}))
    (unknown,) = windows(first, reading(15, {OLD: counts(100), NEW: counts(4)}))
    (elder,) = windows(first, reading(15, {OLD: counts(100), NEW: counts(4)}, {NEW: 9.0}))

    assert young.canary == counts(4)
    assert unknown.canary == elder.canary == counts(0)


def test_a_new_instance_is_compared_from_when_it_was_first_seen() -> None:
    found = windows(
        reading(10, {OLD: counts(100)}),
        reading(15, {OLD: counts(100), NEW: counts(4)}),
        reading(20, {OLD: counts(100), NEW: counts(6)}),
    )

    assert [each.canary for each in found] == [counts(0), counts(2)]


def test_all_wait_for_an_instance_that_was_missed() -> None:
    found = windows(
        reading(10, {OLD: counts(100), NEW: counts(10)}),
        reading(15, {OLD: counts(150, 50)}),
        reading(20, {OLD: counts(160, 50), NEW: counts(16, 5)}),
    )

    assert found == [
        Window(10, 10, stable=counts(0), canary=counts(0)),
        Window(10, 20, stable=counts(60, 50), canary=counts(6, 5)),
    ]


def test_an_instance_that_stays_away_is_gone_and_comes_back_as_another() -> None:
    away = [
        reading(10 + 5 * number, {OLD: counts(100 + number)})
        for number in range(1, int(GONE_SECONDS / 5) + 1)
    ]
    found = windows(
        reading(10, {OLD: counts(100), NEW: counts(10)}),
        *away,
        reading(45, {OLD: counts(107), NEW: counts(99)}),
        reading(50, {OLD: counts(107), NEW: counts(100)}),
    )

    assert [each.requests for each in found] == [0] * 5 + [6, 1, 1]
    assert [(each.since, each.until) for each in found[-3:]] == [(10, 40), (40, 45), (45, 50)]


def test_instances_missed_in_turns_are_not_gone() -> None:
    """Each is seen every 10 s; that all are seen at once takes 40."""
    turns = [
        reading(10 + 5 * number, {(OLD, NEW)[number % 2]: counts(100 + number)})
        for number in range(1, 8)
    ]
    found = windows(
        reading(10, {OLD: counts(100), NEW: counts(100)}),
        *turns,
        reading(50, {OLD: counts(108), NEW: counts(108)}),
    )

    assert found[-1] == Window(10, 50, stable=counts(8), canary=counts(8))
    assert sum(each.requests for each in found) == 16


def test_nobody_is_gone_while_nobody_is_seen() -> None:
    blind = [reading(at, {}) for at in range(15, 600, 5)]
    found = windows(
        reading(10, {OLD: counts(100), NEW: counts(10)}),
        *blind,
        reading(600, {OLD: counts(200), NEW: counts(20)}),
    )

    assert found[-1] == Window(10, 600, stable=counts(100), canary=counts(10))
    assert sum(each.requests for each in found) == 110


@pytest.mark.parametrize("at", [10, 4])
def test_a_reading_that_is_not_newer_adds_nothing(at: float) -> None:
    found = windows(
        reading(10, {OLD: counts(100)}),
        reading(at, {OLD: counts(90)}),
        reading(15, {OLD: counts(103)}),
    )

    assert [each.stable for each in found] == [counts(0), counts(3)]


def test_a_baseline_is_a_reading_that_needs_nothing_else() -> None:
    first = reading(10, {OLD: counts(100), NEW: counts(5)})
    _, baseline = difference(first, reading(15, {OLD: counts(101), NEW: counts(6)}), edges=1)
    plain = Reading(baseline.at, baseline.counts, baseline.started)
    newer = reading(20, {OLD: counts(103), NEW: counts(7)})

    assert difference(plain, newer, edges=1) == difference(baseline, newer, edges=1)


def test_other_edges_are_refused() -> None:
    first = reading(10, {OLD: counts(100)})
    second = replace(first, at=15.0, counts={OLD: Counts(101, 0, (0, 0))})

    with pytest.raises(ValueError, match="old-1: must have 1 latency edges"):
        difference(first, second, edges=1)
