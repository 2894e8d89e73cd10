"""From snapshots of counters to windows: no request twice, and both releases over the same time."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series, Window
from rollout.evidence.windows import WindowBuilder, sum_windows

PROXY, OTHER_PROXY = "gateway-0", "gateway-1"
OLD, NEW = Series(Arm.STABLE, PROXY), Series(Arm.CANARY, PROXY)
POD, OTHER_POD, YOUNG_POD = (
    Series(Arm.STABLE, "kv-1"),
    Series(Arm.STABLE, "kv-2"),
    Series(Arm.CANARY, "kv-canary-1"),
)
NOTHING = Counts(0, 0, (0,))


def counts(requests: int, failures: int = 0, slow: int = 0) -> Counts:
    return Counts(requests, failures, (slow,))


def proxies(
    at: float, found: Mapping[Series, Counts], sampled: Mapping[Series, float] | None = None
) -> CounterSnapshot:
    return CounterSnapshot(at, found, {}, sampled or {})


def pods(
    at: float,
    found: Mapping[Series, Counts],
    sampled: Mapping[Series, float] | None = None,
    started: Mapping[Series, float] | None = None,
) -> CounterSnapshot:
    return CounterSnapshot(at, found, started or {}, sampled or {}, paired=False)


def built(*snapshots: CounterSnapshot) -> list[Window]:
    builder = WindowBuilder(edges=1)
    return [window for snapshot in snapshots for window in builder.add(snapshot)]


def test_what_a_proxy_added_is_a_window() -> None:
    found = built(
        proxies(10, {OLD: counts(100, 5, 9), NEW: counts(7)}),
        proxies(15, {OLD: counts(103, 6, 11), NEW: counts(9, 2, 2)}),
        proxies(20, {OLD: counts(104, 6, 11), NEW: counts(9, 2, 2)}),
    )

    assert found == [
        Window(10, 15, stable=counts(3, 1, 2), canary=counts(2, 2, 2)),
        Window(15, 20, stable=counts(1), canary=counts(0)),
    ]


def test_each_proxy_has_windows_between_its_own_samples() -> None:
    mine, theirs = Series(Arm.STABLE, OTHER_PROXY), Series(Arm.CANARY, OTHER_PROXY)
    first = {OLD: counts(10), NEW: counts(1), mine: counts(20), theirs: counts(2)}
    second = {OLD: counts(15), NEW: counts(2), mine: counts(29), theirs: counts(5)}
    late = {OLD: 8.0, NEW: 8.0, mine: 4.0, theirs: 4.0}

    found = built(
        proxies(10, first, late),
        proxies(15, second, {OLD: 13.0, NEW: 13.0, mine: 14.0, theirs: 14.0}),
    )

    assert found == [
        Window(8, 13, counts(5), counts(1)),
        Window(4, 14, counts(9), counts(3)),
    ]
    assert sum_windows(found) == Window(4, 14, counts(14), counts(4))


def test_a_proxy_that_is_gone_costs_only_its_own_requests() -> None:
    mine = Series(Arm.STABLE, OTHER_PROXY)
    found = built(
        proxies(10, {OLD: counts(100), NEW: counts(10), mine: counts(50)}),
        *(
            proxies(10 + 5 * n, {OLD: counts(100 + n), NEW: counts(10 + 2 * n)})
            for n in range(1, 9)
        ),
        proxies(55, {OLD: counts(109), NEW: counts(28), mine: counts(900)}),
        proxies(60, {OLD: counts(109), NEW: counts(28), mine: counts(905)}),
    )

    assert sum(each.canary.requests for each in found) == 18
    # The proxy that came back counts from its first sample on, as a new one.
    assert [each for each in found if each.stable.requests == 5] == [
        Window(55, 60, counts(5), NOTHING)
    ]


@pytest.mark.parametrize("at", [15.0, 12.0])
def test_a_sample_that_is_not_newer_adds_nothing_and_is_no_restart(at: float) -> None:
    """Of two replicas of Prometheus behind one address, one is older."""
    found = built(
        proxies(10, {OLD: counts(100)}),
        proxies(16, {OLD: counts(150)}, {OLD: 15.0}),
        proxies(18, {OLD: counts(120)}, {OLD: at}),
        proxies(20, {OLD: counts(155)}, {OLD: 19.0}),
    )

    assert [each.stable for each in found] == [counts(50), counts(5)]


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
    (found,) = built(proxies(10, {NEW: before}), proxies(15, {NEW: now}))

    assert found.canary == now


@pytest.mark.parametrize(
    ("started", "counted"),
    [((2.0, 12.0), 30), ((13.0, 13.0), 25), ((2.0, 2.004), 25)],
    ids=["restarted", "a clock that is ahead", "a start that wavers"],
)
def test_a_restart_is_known_by_the_start_time_too(
    started: tuple[float, float], counted: int
) -> None:
    snapshots = [
        CounterSnapshot(at, {NEW: counts(of)}, {NEW: begun})
        for at, of, begun in zip((10, 15), (5, 30), started, strict=True)
    ]

    assert [each.canary.requests for each in built(*snapshots)] == [counted]


def test_the_canary_s_first_requests_at_a_known_proxy_count() -> None:
    first, second = built(
        proxies(10, {OLD: counts(100)}),
        proxies(20, {OLD: counts(190), NEW: counts(9)}),
        proxies(30, {OLD: counts(280), NEW: counts(20)}),
    )

    assert (first.stable.requests, first.canary.requests) == (90, 9)
    assert second.canary.requests == 11


def test_an_unknown_proxy_may_have_counted_long_before() -> None:
    other = {Series(arm, OTHER_PROXY): counts(5000) for arm in (Arm.STABLE, Arm.CANARY)}

    (window,) = built(proxies(10, {OLD: counts(100)}), proxies(20, {OLD: counts(190), **other}))

    assert window.requests == 90


def test_requests_that_reach_neither_release_are_counted_apart() -> None:
    lost = Series(Arm.NEITHER, PROXY)

    (window,) = built(
        proxies(10, {OLD: counts(100), lost: counts(3)}),
        proxies(20, {OLD: counts(190), lost: counts(8, 4, 4)}),
    )

    assert window.neither == counts(5, 4, 4)
    assert window.requests == 90


def test_a_window_of_pods_ends_when_all_were_sampled_and_is_returned_after_the_next() -> None:
    builder = WindowBuilder(edges=1)
    sampled = [
        (10, {POD: 8.0, YOUNG_POD: 9.0}, 100, 10),
        (12, {POD: 11.0, YOUNG_POD: 9.0}, 105, 10),
        (15, {POD: 13.0, YOUNG_POD: 14.0}, 110, 12),
        (20, {POD: 18.0, YOUNG_POD: 19.0}, 130, 15),
    ]
    found = [
        builder.add(pods(at, {POD: counts(old), YOUNG_POD: counts(new)}, times))
        for at, times, old, new in sampled
    ]

    assert [len(each) for each in found] == [0, 0, 0, 1]
    assert found[-1] == (Window(8, 14, counts(10), counts(2), around=counts(10)),)


def test_an_outage_that_pods_saw_in_different_windows_is_around_both() -> None:
    """Both were down from 14 to 19; stable was sampled at 15, 20, …, the canary at 19, 24, …."""
    found = built(
        pods(10, {POD: counts(0), YOUNG_POD: counts(0)}, {POD: 10.0, YOUNG_POD: 9.0}),
        pods(15, {POD: counts(50, 10), YOUNG_POD: counts(50, 0)}, {POD: 15.0, YOUNG_POD: 14.0}),
        pods(20, {POD: counts(100, 50), YOUNG_POD: counts(100, 50)}, {POD: 20.0, YOUNG_POD: 19.0}),
        pods(25, {POD: counts(150, 50), YOUNG_POD: counts(150, 50)}, {POD: 25.0, YOUNG_POD: 24.0}),
    )

    assert [each.canary.failures for each in found] == [0, 50]
    assert found[1].stable.failures == 40
    assert found[1].around is not None
    assert found[1].around.failures > found[1].stable.failures


def test_a_pod_that_is_gone_holds_nothing_up_for_long() -> None:
    found = built(
        pods(10, {POD: counts(0), OTHER_POD: counts(0), YOUNG_POD: counts(0)}),
        pods(15, {POD: counts(5), OTHER_POD: counts(5), YOUNG_POD: counts(1)}),
        *(
            pods(15 + 5 * n, {POD: counts(5 + 5 * n), YOUNG_POD: counts(1 + n)})
            for n in range(1, 9)
        ),
    )

    assert sum(each.stable.requests for each in found) >= 35
    assert max(later.since - sooner.until for sooner, later in zip(found, found[1:])) <= 0  # noqa: RUF007, B905


def test_a_young_pod_counts_from_zero_and_another_from_its_first_sample() -> None:
    def added(started: Mapping[Series, float]) -> int:
        found = built(
            pods(10, {POD: counts(100)}),
            pods(15, {POD: counts(101), YOUNG_POD: counts(4)}, started=started),
            pods(20, {POD: counts(102), YOUNG_POD: counts(4)}, started=started),
            pods(25, {POD: counts(103), YOUNG_POD: counts(4)}, started=started),
            pods(30, {POD: counts(104), YOUNG_POD: counts(4)}, started=started),
        )
        return sum(each.canary.requests for each in found)

    assert added({YOUNG_POD: 11.0}) == 4
    assert added({}) == added({YOUNG_POD: 9.0}) == 0


def test_a_canary_whose_sample_is_still_to_come_is_awaited() -> None:
    builder = WindowBuilder(edges=1)
    old, new = {POD: counts(9)}, {YOUNG_POD: counts(1)}
    builder.add(pods(10, old | new, {POD: 10.0, YOUNG_POD: 9.0}))
    builder.add(pods(15, old | new, {POD: 15.0, YOUNG_POD: 14.0}))
    builder.add(pods(17, old | new, {POD: 17.0, YOUNG_POD: 14.0}))
    awaited = builder.awaited_seconds(Arm.CANARY)
    builder.add(pods(19, old | new, {POD: 17.0, YOUNG_POD: 19.0}))

    assert awaited == 2
    assert builder.awaited_seconds(Arm.CANARY) == 0


def test_a_pod_that_was_not_sampled_for_a_while_has_still_answered() -> None:
    builder = WindowBuilder(edges=1)
    builder.add(pods(5, {POD: counts(0), YOUNG_POD: counts(0)}))
    builder.add(pods(10, {POD: counts(9), YOUNG_POD: counts(1)}))
    assert builder.is_sampled(Arm.CANARY)
    for at in (15, 20, 25):
        builder.add(pods(at, {POD: counts(at)}))
    assert not builder.is_sampled(Arm.CANARY)

    builder.add(pods(30, {POD: counts(30), YOUNG_POD: counts(5)}))

    assert builder.is_sampled(Arm.CANARY)
    assert builder.latest(11.0) is None
    added, seconds = builder.latest(10.0) or ({}, 0.0)
    assert added[Arm.CANARY].requests == 4
    assert seconds == 5


def test_the_time_between_samples_is_found() -> None:
    builder = WindowBuilder(edges=1)
    unknown = builder.interval
    for at in (10, 70, 130):
        builder.add(proxies(at, {OLD: counts(at)}))

    assert unknown == 15
    assert builder.interval == 60


def test_a_saved_builder_continues() -> None:
    snapshots = [
        pods(10, {POD: counts(0), YOUNG_POD: counts(0)}, {POD: 10.0, YOUNG_POD: 9.0}),
        pods(15, {POD: counts(50, 10), YOUNG_POD: counts(50, 0)}, {POD: 15.0, YOUNG_POD: 14.0}),
        pods(20, {POD: counts(90, 11), YOUNG_POD: counts(80, 1)}, {POD: 20.0, YOUNG_POD: 14.0}),
        pods(25, {POD: counts(99, 12), YOUNG_POD: counts(99, 2)}, {POD: 25.0, YOUNG_POD: 24.0}),
        pods(30, {POD: counts(120, 12), YOUNG_POD: counts(100, 2)}),
    ]
    builder = WindowBuilder(edges=1)
    found: list[Window] = []
    for snapshot in snapshots:
        found += builder.add(snapshot)
        builder = WindowBuilder.load(1, json.loads(json.dumps(builder.dump())))

    assert found == built(*snapshots)
    assert found


def test_other_edges_are_refused() -> None:
    builder = WindowBuilder(edges=1)

    with pytest.raises(ValueError, match="gateway-0: must have 1 latency thresholds"):
        builder.add(proxies(10, {OLD: Counts(101, 0, (0, 0))}))
