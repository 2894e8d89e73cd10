"""The figures of the documents, as they are written from the results of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cost.readme import CAPACITY, render, render_all
from bench.cost.subjects import P99, P99_NOISE, P99_RATIO, RATE, RESIDENT
from bench.frame.documents import END, PAGE, README, begin_of, write_passage
from bench.frame.rows import Row, at_most

GET = "GET, 1 KiB"
ROWS = [
    Row("hello: GET / (hello)", 1.0, "hellos"),
    Row(f"tallykv: {GET}", 1.4, "hellos", at_most(1.35), noise=0.05),
    Row(f"FastAPI: {GET}", 7.71, "hellos"),
    Row(f"webdis: {GET}", 0.5, "hellos"),
    Row("noise: hello, twice", 2.5, "%", at_most(10)),
    Row(f"tallykv: {GET}: {RATE}", 15_000.4, "a second"),
    Row(f"tallykv: {GET}: {P99}", 0.81, "ms"),
    Row(f"tallykv: {GET}: {P99_RATIO}", 1.75, "times", at_most(1.5)),
    Row(f"FastAPI: {GET}: {RESIDENT}", 60.0, "MiB"),
]


def results(rows: list[Row]) -> dict[str, Any]:
    return {
        "arguments": {"sizes": {"rounds": 3}},
        "machine": {"cores": 2, "python": "3.11.2"},
        "parts": {"get": {"busy_before": 0.04}, "put": {"busy_before": 0.02}},
        "rows": [{"part": "get", **row.to_json()} for row in rows],
    }


def test_the_page_has_the_services_sorted_by_cost_and_what_was_missed() -> None:
    table = render(results(ROWS))

    assert "kept the cores 3% busy" in table
    assert "was 2.5 to 2.5 %" in table
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert lines[1:] == [
        "| GET, 1 KiB | webdis | 0.5 | | | | | |",
        "| | tallykv | 1.4 | 15,000 | | 0.81 | 1.75 | |",
        "| | FastAPI | 7.71 | | | | | 60 |",
    ]
    broken, _, unsure = table.partition("missed by less than the noise:")
    assert f"- `get`: tallykv: {GET}: {P99_RATIO}: 1.75 times (at most 1.5 times)" in broken
    assert f"- `get`: tallykv: {GET}: 1.4 hellos (at most 1.35 hellos)" in unsure


def test_rates_and_latencies_of_a_machine_that_is_too_noisy_are_left_out() -> None:
    noise = Row(P99_NOISE, 40, "%", at_most(25))

    table = render(results([*ROWS, noise]))

    assert "| | tallykv | 1.4 | | | | | |" in table
    assert "| | FastAPI | 7.71 | | | | | 60 |" in table
    assert f"- `get`: {P99_NOISE}: 40 % (at most 25 %)" in table
    assert "1.75" not in table


def test_the_readme_has_the_costs_of_a_get() -> None:
    sentence = render_all(results(ROWS))[README]

    assert "a GET cost 1.4 times" in sentence
    assert "it cost 7.71 times" in sentence


def test_the_capacity_is_computed_from_our_costs() -> None:
    assert "| GET, 1 KiB | 1.4 | 39.2 | 26,000 |" in render_all(results(ROWS))[CAPACITY]


def test_results_without_a_get_are_refused() -> None:
    with pytest.raises(ValueError, match="no GET"):
        render_all(results(ROWS[4:]))


@pytest.mark.parametrize(
    ("program", "page"),
    [
        ("cost", README),
        ("cost", PAGE),
        ("cost", CAPACITY),
        ("evidence", README),
        ("evidence", PAGE),
    ],
)
def test_the_documents_have_the_marks(program: str, page: Path, tmp_path: Path) -> None:
    copy = tmp_path / page.name
    copy.write_text(page.read_text())

    for _ in range(2):
        write_passage(copy, program, "new")

    assert copy.read_text().count(f"{begin_of(program)}new{END}") == 1
