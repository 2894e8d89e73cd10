"""Failures that are computed as a difference may fall for a moment, which is no restart."""

from __future__ import annotations

import pytest

from rollout.evidence.counts import Arm, CounterSnapshot, Counts, Series
from rollout.judge.rising_failures import RisingFailures
from rollout.prometheus.counter_pair import is_selector

CANARY = Series(Arm.CANARY, "pod")


class Replayed:
    """A source that returns these counts of one pod, one after the other."""

    def __init__(self, counts: list[Counts]) -> None:
        self._counts = iter(counts)

    async def read(self) -> CounterSnapshot:
        return CounterSnapshot(1.0, {CANARY: next(self._counts)}, {})


@pytest.mark.parametrize(
    ("counted", "seen"),
    [
        ([(10, 1), (11, 0), (12, 2)], [(10, 1), (11, 1), (12, 2)]),
        ([(10, 1), (3, 0)], [(10, 1), (3, 0)]),
        ([(10, 1), (12, 1)], [(10, 1), (12, 1)]),
    ],
    ids=["a fall is held", "a restart is one", "no change"],
)
async def test_failures_fall_only_with_the_requests(
    counted: list[tuple[int, int]], seen: list[tuple[int, int]]
) -> None:
    source = RisingFailures(Replayed([Counts(*each) for each in counted]))

    found = [(await source.read()).counts[CANARY] for _ in counted]

    assert found == [Counts(*each) for each in seen]


@pytest.mark.parametrize(
    "text",
    ["orders_total", "a:b_total{}", 'x{a="1",b=~"2|\\"3",c!="",}', 'x{ a = "}" }'],
)
def test_a_selector_is_accepted(text: str) -> None:
    assert is_selector(text)


@pytest.mark.parametrize(
    "text",
    ["", "sum(x)", "x[5m]", "x or y", 'x{a="1"} or y{b="2"}', 'x{a="1}', "x{a=1}", 'x{a="1"b="2"}'],
)
def test_another_expression_is_not(text: str) -> None:
    assert not is_selector(text)
