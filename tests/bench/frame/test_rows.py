"""Rows, limits and tables."""

from __future__ import annotations

import pytest

from bench.frame.noise import noise_of, noise_row
from bench.frame.rows import Limit, Row, at_least, at_most, percentage, render_table


@pytest.mark.parametrize(
    ("limit", "kept", "broken"), [(at_most(2), 2.0, 2.01), (at_least(2), 2.0, 1.99)]
)
def test_a_bound_itself_is_allowed(limit: Limit, kept: float, broken: float) -> None:
    assert Row("x", kept, limit=limit).verdict == "PASS"
    assert Row("x", broken, limit=limit).verdict == "FAIL"
    assert Row("x", broken).verdict == ""


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        (at_most(2), 2.0, "PASS"),
        (at_most(2), 2.2, "within noise"),
        (at_most(2), 2.21, "FAIL"),
        (at_most(2), float("inf"), "FAIL"),
        (at_least(2), 2.0, "PASS"),
        (at_least(2), 1.82, "within noise"),
        (at_least(2), 1.81, "FAIL"),
    ],
)
def test_a_limit_is_broken_only_by_more_than_the_noise(
    limit: Limit, value: float, verdict: str
) -> None:
    assert Row("x", value, limit=limit, noise=0.1).verdict == verdict


def test_noise_is_the_furthest_that_a_server_is_from_itself_up_or_down() -> None:
    assert noise_of([1.02, 0.8, 1.1]) == pytest.approx(0.25)
    assert noise_of([1.0]) == 0

    row = noise_row("hello, twice", [0.98, 1.05])

    assert (row.title, row.unit, row.verdict) == ("noise: hello, twice", "%", "PASS")
    assert row.value == pytest.approx(5)
    assert noise_row("hello, twice", [1.2]).verdict == "FAIL"


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
