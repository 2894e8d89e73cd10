"""Rows, limits and tables."""

from __future__ import annotations

import pytest

from bench.frame.rows import Limit, Row, at_least, at_most, percentage, render_table


@pytest.mark.parametrize(
    ("limit", "kept", "broken"), [(at_most(2), 2.0, 2.01), (at_least(2), 2.0, 1.99)]
)
def test_a_bound_itself_is_allowed(limit: Limit, kept: float, broken: float) -> None:
    assert Row("x", kept, limit=limit).verdict == "PASS"
    assert Row("x", broken, limit=limit).verdict == "FAIL"
    assert Row("x", broken).verdict == ""


def test_a_percentage_has_its_counts_as_a_note() -> None:
    row = percentage("delivered", 1, 3000, at_least(100))

    assert row.value == pytest.approx(1 / 30)
    assert row.note == "1 of 3,000"
    assert percentage("delivered", 0, 0, None).value == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (1.7234, "1.72"), (0.00012, "0.00012"), (1234.5, "1,234"), (3.0, "3")],
)
def test_numbers_have_three_digits_and_counts_all(value: float, text: str) -> None:
    assert render_table("head", [Row("title", value)]).split()[-1] == text


def test_columns_are_aligned() -> None:
    rows = [Row("a long title", 1000, "µs", at_most(2), "a note"), Row("short", 1)]

    heads, line, first, second = render_table("head", rows).splitlines()

    assert heads.index("unit") == first.index("µs")
    assert first.index("1,000") + 5 == second.index("1") + 1
    assert set(line) == {"-"}
