"""From snapshots of counters to windows: no request twice, and the same time for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rollout.evidence.counts import BOTH, Arm, CounterSnapshot, Counts, Series, Window
from rollout.evidence.windows import GONE_SECONDS, increase

OLD = Series(Arm.STABLE, "old-1")
OTHER = Series(Arm.STABLE, "old-2")
NEW = Series(Arm.CANARY, "new-1")


def counts(requests: int, failures: int = 0, slow: int = 0) -> Counts:
    return Counts(requests, failures, (slow,))


def snapshot(
    at: float, found: Mapping[Series, Counts], started: Mapping[Series, float] | None = None
) -> CounterSnapshot:
    return CounterSnapshot(at, found, started or {})


def windows(*snapshots: CounterSnapshot) -> list[Window]:
    previous, found = snapshots[0], []
    for newer in snapshots[1:]:
        window, previous = increase(previous, newer, edges=1)
        found.append(window)
    return found


def test_what_was_added_is_summed_by_arm() -> None:
    found = windows(
        snapshot(10, {OLD: counts(100, 5, 9), OTHER: counts(50), NEW: counts(7)}),
        snapshot(15, {OLD: counts(103, 6, 11), OTHER: counts(54, 1, 1), NEW: counts(9, 2, 2)}),
        snapshot(20, {OLD: counts(104, 6, 11), OTHER: counts(54, 1, 1), NEW: counts(9, 2, 2)}),
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
    (found,) = windows(snapshot(10, {NEW: before}), snapshot(15, {NEW: now}))

    assert found.canary == now


def test_a_restart_is_known_by_when_it_began_too() -> None:
    (found,) = windows(
        snapshot(10, {NEW: counts(5)}, {NEW: 2.0}), snapshot(15, {NEW: counts(30)}, {NEW: 12.0})
    )

    assert found.canary == counts(30)


def test_a_clock_that_is_ahead_makes_no_restart() -> None:
    (found,) = windows(
        snapshot(10, {NEW: counts(5)}, {NEW: 13.0}), snapshot(15, {NEW: counts(30)}, {NEW: 13.0})
    )

    assert found.canary == counts(25)


def test_a_beginning_that_wavers_makes_no_restart() -> None:
    (found,) = windows(
        snapshot(10, {NEW: counts(5)}, {NEW: 2.0}), snapshot(15, {NEW: counts(30)}, {NEW: 2.004})
    )

    assert found.canary == counts(25)


def test_a_new_instance_counts_from_zero_if_it_is_known_to_be_new() -> None:
    first = snapshot(10, {OLD: counts(100)})

    (young,) = windows(first, snapshot(15, {OLD: counts(100), NEW: counts(4)}, {NEW: 11.0}))
    (unknown,) = windows(first, snapshot(15, {OLD: counts(100), NEW: counts(4)}))
    (elder,) = windows(first, snapshot(15, {OLD: counts(100), NEW: counts(4)}, {NEW: 9.0}))

    assert young.canary == counts(4)
    assert unknown.canary == elder.canary == counts(0)


def test_a_new_instance_is_compared_from_when_it_was_first_seen() -> None:
    found = windows(
        snapshot(10, {OLD: counts(100)}),
        snapshot(15, {OLD: counts(100), NEW: counts(4)}),
        snapshot(20, {OLD: counts(100), NEW: counts(6)}),
    )

    assert [each.canary for each in found] == [counts(0), counts(2)]


def test_all_wait_for_an_instance_that_was_missed() -> None:
    found = windows(
        snapshot(10, {OLD: counts(100), NEW: counts(10)}),
        snapshot(15, {OLD: counts(150, 50)}),
        snapshot(20, {OLD: counts(160, 50), NEW: counts(16, 5)}),
    )

    assert found == [
        Window(10, 10, stable=counts(0), canary=counts(0)),
        Window(10, 20, stable=counts(60, 50), canary=counts(6, 5)),
    ]


def test_an_instance_that_stays_away_is_gone_and_comes_back_as_another() -> None:
    away = [
        snapshot(10 + 5 * number, {OLD: counts(100 + number)})
        for number in range(1, int(GONE_SECONDS / 5) + 1)
    ]
    found = windows(
        snapshot(10, {OLD: counts(100), NEW: counts(10)}),
        *away,
        snapshot(45, {OLD: counts(107), NEW: counts(99)}),
        snapshot(50, {OLD: counts(107), NEW: counts(100)}),
    )

    assert [each.requests for each in found] == [0] * 5 + [6, 1, 1]
    assert [(each.since, each.until) for each in found[-3:]] == [(10, 40), (40, 45), (45, 50)]


def test_instances_missed_in_turns_are_not_gone() -> None:
    """Each is seen every 10 s; that all are seen at once takes 40."""
    turns = [
        snapshot(10 + 5 * number, {(OLD, NEW)[number % 2]: counts(100 + number)})
        for number in range(1, 8)
    ]
    found = windows(
        snapshot(10, {OLD: counts(100), NEW: counts(100)}),
        *turns,
        snapshot(50, {OLD: counts(108), NEW: counts(108)}),
    )

    assert found[-1] == Window(10, 50, stable=counts(8), canary=counts(8))
    assert sum(each.requests for each in found) == 16


def test_nobody_is_gone_while_nobody_is_seen() -> None:
    blind = [snapshot(at, {}) for at in range(15, 600, 5)]
    found = windows(
        snapshot(10, {OLD: counts(100), NEW: counts(10)}),
        *blind,
        snapshot(600, {OLD: counts(200), NEW: counts(20)}),
    )

    assert found[-1] == Window(10, 600, stable=counts(100), canary=counts(10))
    assert sum(each.requests for each in found) == 110


@pytest.mark.parametrize("at", [10, 4])
def test_a_snapshot_that_is_not_newer_adds_nothing(at: float) -> None:
    found = windows(
        snapshot(10, {OLD: counts(100)}),
        snapshot(at, {OLD: counts(90)}),
        snapshot(15, {OLD: counts(103)}),
    )

    assert [each.stable for each in found] == [counts(0), counts(3)]


def test_the_previous_snapshot_may_be_a_plain_one() -> None:
    first = snapshot(10, {OLD: counts(100), NEW: counts(5)})
    _, previous = increase(first, snapshot(15, {OLD: counts(101), NEW: counts(6)}), edges=1)
    plain = CounterSnapshot(previous.at, previous.counts, previous.started)
    newer = snapshot(20, {OLD: counts(103), NEW: counts(7)})

    assert increase(plain, newer, edges=1) == increase(previous, newer, edges=1)


def test_other_edges_are_refused() -> None:
    first = snapshot(10, {OLD: counts(100)})
    second = replace(first, at=15.0, counts={OLD: Counts(101, 0, (0, 0))})

    with pytest.raises(ValueError, match="old-1: must have 1 latency thresholds"):
        increase(first, second, edges=1)


def test_the_canary_s_first_requests_at_a_known_proxy_count() -> None:
    before = snapshot(10, {Series(Arm.STABLE, "gateway"): counts(100)})
    after = snapshot(
        20,
        {Series(Arm.STABLE, "gateway"): counts(190), Series(Arm.CANARY, "gateway"): counts(9)},
    )
    later = snapshot(
        30,
        {Series(Arm.STABLE, "gateway"): counts(280), Series(Arm.CANARY, "gateway"): counts(20)},
    )

    first, second = windows(before, after, later)

    assert (first.stable.requests, first.canary.requests) == (90, 9)
    assert second.canary.requests == 11


def test_an_unknown_proxy_may_have_counted_long_before() -> None:
    before = snapshot(10, {OLD: counts(100)})
    other = {Series(arm, "another"): counts(5000) for arm in BOTH}

    (window,) = windows(before, snapshot(20, {OLD: counts(190), **other}))

    assert window.requests == 90
