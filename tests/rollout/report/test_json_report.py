"""The report for programs holds all that it was drawn from."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.report.json_report import DocumentInvalid, parse_json, render_json
from rollout.report.scales import Scale, ceiling, linear_ticks, spread
from tests.rollout.report.simulated_rollout import tell_rollout


def test_what_is_rendered_is_read_back_the_same() -> None:
    telling = tell_rollout(failing=0.08)

    text = render_json(telling.events, telling.samples, telling.about)

    record = parse_json(text)
    assert list(record.events) == telling.events
    assert list(record.samples) == telling.samples
    assert record.about == telling.about
    assert render_json(record.events, record.samples, record.about) == text


def test_the_verdict_comes_first() -> None:
    telling = tell_rollout(failing=0.08)

    document = json.loads(render_json(telling.events, telling.samples, telling.about))

    assert list(document)[:3] == ["verdict", "headline", "sentence"]
    assert document["verdict"] == "rolled_back"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"events": [], "samples": [], "about": {}}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(DocumentInvalid, match="no report of a rollout"):
        parse_json(text)


@given(st.floats(1e-9, 1e9))
def test_an_axis_ends_on_a_round_number_above_what_is_shown(value: float) -> None:
    top = ceiling(value)

    assert value <= top * (1 + 1e-9)
    assert top <= value * 2.5 * (1 + 1e-9)
    assert linear_ticks(top)[-1] == top


@given(st.lists(st.floats(0, 200), max_size=6))
def test_labels_are_moved_apart_and_stay_on_the_sheet(wanted: list[float]) -> None:
    places = spread(wanted, 15, 0, 200)

    ordered = sorted(places)
    assert all(b - a >= 15 - 1e-9 for a, b in zip(ordered, ordered[1:]))  # noqa: RUF007, B905 - plain pairs
    assert all(-1e-9 <= place <= 200 + 1e-9 for place in places)


@given(st.floats(allow_nan=False), st.booleans())
def test_nothing_is_drawn_beyond_the_border(value: float, log: bool) -> None:
    place = Scale(1, 100, 300, 10, log)(value)

    assert math.isfinite(place)
    assert 10 - 1e-9 <= place <= 300 + 1e-9
