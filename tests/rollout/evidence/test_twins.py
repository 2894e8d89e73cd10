"""Instances that are one: the same counters, scraped again under another port."""

from __future__ import annotations

import json

import pytest

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series
from rollout.evidence.windows import WindowBuilder

PORTS = ("15020", "15090", "9090")
#: How many requests a process has served by a time, and how long it has run.
PER_SECOND = 10


def served(at: float, since: float = 0.0) -> Counts:
    requests = int((at - since) * PER_SECOND)
    return Counts(requests, requests // 5, (requests // 2,))


def counted(
    builder: WindowBuilder,
    samples: dict[str, list[float]],
    started: dict[str, float] | None = None,
    *,
    paired: bool = True,
    arm: Arm = Arm.STABLE,
) -> int:
    """Return all requests that are counted while each instance is sampled at its times."""
    total = 0
    for at in range(0, 100, 2):
        counts, sampled = {}, {}
        for instance, times in samples.items():
            if past := [time for time in times if time <= at]:
                since = (started or {}).get(instance, -1000.0)
                series = Series(arm, instance)
                counts[series], sampled[series] = served(past[-1], since), past[-1]
        windows = builder.add(CounterSnapshot(float(at), counts, {}, sampled, paired))
        total += sum(window.requests for window in windows)
    return total


def every(first: float) -> list[float]:
    return [first + 5.0 * number for number in range(20)]


@pytest.mark.parametrize("paired", [True, False], ids=["proxies", "pods"])
def test_what_is_scraped_three_times_counts_once(*, paired: bool) -> None:
    samples = {f"job/shop/10.0.0.1:{port}": every(1.3 * n) for n, port in enumerate(PORTS)}

    alone = counted(WindowBuilder(1), {"10.0.0.1:15020": every(0.0)}, paired=paired)
    thrice = counted(WindowBuilder(1), samples, paired=paired)

    assert alone >= 60 * PER_SECOND
    assert thrice == pytest.approx(alone, abs=10 * PER_SECOND)


def test_two_processes_of_one_host_both_count() -> None:
    samples = {"10.0.0.1:8081": every(0.0), "10.0.0.1:8082": every(2.0)}

    both = counted(WindowBuilder(1), samples, {"10.0.0.1:8081": -500.0})

    assert both == pytest.approx(190 * PER_SECOND, rel=0.1)


def test_instances_of_other_hosts_are_no_twins() -> None:
    samples = {"10.0.0.1:15020": every(0.0), "10.0.0.2:15020": every(0.0)}

    assert counted(WindowBuilder(1), samples) == 2 * 95 * PER_SECOND


def test_a_restart_makes_no_two_of_one() -> None:
    builder = WindowBuilder(1)
    for number in range(20):
        at = 10.0 * number
        since = -1000.0 if number < 10 else 95.0
        one, other = (Series(Arm.STABLE, f"10.0.0.1:{port}") for port in PORTS[:2])
        early, late = at - 4.0, at - 1.0
        counts = {one: served(early, since), other: served(late, since)}
        builder.add(CounterSnapshot(at, counts, {}, {one: early, other: late}))

    assert builder.dump()["different"] == []


def test_what_is_known_to_differ_is_saved() -> None:
    builder = WindowBuilder(1)
    samples = {"10.0.0.1:8081": every(0.0), "10.0.0.1:8082": every(2.0)}
    counted(builder, samples, {"10.0.0.1:8081": -500.0})

    saved = json.loads(json.dumps(builder.dump()))

    assert saved["different"] == [["10.0.0.1:8081", "10.0.0.1:8082"]]
    assert WindowBuilder.load(1, saved).dump() == builder.dump()
