"""Axes end on round numbers, and nothing is drawn outside a chart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.report.scales import Scale, linear_ticks, log_ticks, round_up, spread


@given(st.floats(1e-9, 1e9))
def test_an_axis_ends_on_a_round_number_above_what_is_shown(value: float) -> None:
    top = round_up(value)

    assert value <= top * (1 + 1e-9)
    assert top <= value * 2.5 * (1 + 1e-9)
    assert linear_ticks(top)[-1] == top


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1, 10, [1, 2, 5, 10]),
        (0.5, 20, [0.5, 1, 2, 5, 10, 20]),
        (0.01, 1000, [0.01, 0.1, 1, 10, 100, 1000]),
        (0.01, 1e6, [0.01, 1, 100, 10_000, 1e6]),
    ],
)
def test_a_logarithmic_axis_has_a_few_round_ticks(
    low: float, high: float, ticks: list[float]
) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


@given(st.lists(st.floats(0, 200), max_size=6))
def test_labels_are_moved_apart_and_stay_in_the_chart(wanted: list[float]) -> None:
    places = spread(wanted, 15, 0, 200)

    ordered = sorted(places)
    assert all(b - a >= 15 - 1e-9 for a, b in zip(ordered, ordered[1:]))  # noqa: RUF007, B905 - plain pairs
    assert all(-1e-9 <= place <= 200 + 1e-9 for place in places)


@given(st.floats(allow_nan=False), st.booleans())
def test_nothing_is_drawn_beyond_the_border(value: float, log: bool) -> None:
    place = Scale(1, 100, 300, 10, log)(value)

    assert math.isfinite(place)
    assert 10 - 1e-9 <= place <= 300 + 1e-9
