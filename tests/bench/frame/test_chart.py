"""What a chart shows, in which order."""

from __future__ import annotations

from pathlib import Path

from bench.frame.chart import Chart, draw_chart
from bench.frame.rows import Row, at_most

ROWS = {
    "get": [
        Row("hello: /", 1.0, "hellos"),
        Row("ours: GET", 1.4, "hellos", at_most(2)),
        Row("C: GET", 0.5, "hellos"),
        Row("ours: GET: memory", 50, "MiB"),
    ],
    "ready": [Row("ready", 0.5, "s")],
}


def test_a_comparison_has_the_cheapest_on_top_and_one_server_stands_out() -> None:
    chart = Chart("hellos", "cost", server="ours")

    ((heading, bars),) = chart.groups(ROWS)

    assert heading == "GET"
    assert [name for name, _ in bars] == ["C", "hello", "ours"]
    assert [chart.stands_out(*bar) for bar in bars] == [False, False, True]


def test_other_rows_keep_their_order_and_those_with_a_limit_stand_out() -> None:
    chart = Chart("hellos", "cost")

    ((heading, bars),) = chart.groups(ROWS)

    assert heading == ""
    assert [name for name, _ in bars] == ["hello: /", "ours: GET", "C: GET"]
    assert [chart.stands_out(*bar) for bar in bars] == [False, True, False]


def test_nothing_is_drawn_without_rows(tmp_path: Path) -> None:
    draw_chart(Chart("µs", "cost"), ROWS, tmp_path / "chart.png")

    assert list(tmp_path.iterdir()) == []
