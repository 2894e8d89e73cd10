"""Answers are counted by the release that gave them."""

from __future__ import annotations

import io
import json
import math

import pytest

from loadtest.latencies import percentile, round_up
from loadtest.reports.html_page import render as render_page
from loadtest.reports.metrics import render
from loadtest.reports.releases import (
    HEADS,
    MOST_RELEASES,
    OTHERS,
    AnswerKind,
    Release,
    ReleaseCounts,
    write_csv,
)
from tests.support.prometheus import check_metrics

STABLE, CANARY, NO_RELEASE = Release("1.0.0", "stable"), Release("1.1.0", "canary"), Release("", "")
READ = AnswerKind("GET", "/v1/kv/{key}", 200)


def counts_of(*answers: tuple[Release, float, bool, bool]) -> ReleaseCounts:
    counts = ReleaseCounts()
    for at, (release, seconds, failed, wrong) in enumerate(answers):
        counts.add(release, READ, seconds, 1000.0 + at, failed=failed, wrong=wrong)
    return counts


@pytest.fixture
def counts() -> ReleaseCounts:
    return counts_of(
        (STABLE, 0.002, False, False),
        (STABLE, 0.004, False, False),
        (CANARY, 0.03, True, True),
        (NO_RELEASE, 0.1, True, False),
    )


def test_each_release_has_a_line_and_answers_without_one_the_last(counts: ReleaseCounts) -> None:
    rows = [dict(zip(HEADS, row, strict=True)) for row in counts.rows()]

    assert [(row["version"], row["track"]) for row in rows] == [STABLE, CANARY, ("-", "-")]
    assert [row["requests"] for row in rows] == ["2", "1", "1"]
    assert [row["failures"] for row in rows] == ["0", "1", "1"]
    assert [row["wrong"] for row in rows] == ["0", "1", "0"]
    assert [row["share"] for row in rows] == ["50.0%", "25.0%", "25.0%"]
    assert [row["p50 ms"] for row in rows] == ["2", "30", "100"]
    assert [row["requests/s"] for row in rows] == ["0.5", "0.2", "0.2"]


def test_the_counts_of_workers_add_up(counts: ReleaseCounts) -> None:
    whole = ReleaseCounts()

    for part in (counts, counts_of((CANARY, 0.5, False, False))):
        whole.absorb(ReleaseCounts.load(json.loads(json.dumps(part.dump()))))

    assert whole.requests == 5
    assert whole.releases[CANARY].requests == 2
    assert whole.releases[CANARY].latencies == {0.03: 1, 0.5: 1}
    assert whole.answers == {READ: 5}
    assert whole.seconds[1000] == {STABLE: 1, CANARY: 1}


def test_the_number_of_lines_is_bounded() -> None:
    counts = counts_of(*((Release(f"{n}", "x"), 0.1, False, False) for n in range(100)))

    assert len(counts.releases) == MOST_RELEASES + 1
    assert counts.releases[OTHERS].requests == 100 - MOST_RELEASES


def test_the_exposition_is_valid_and_agrees_with_the_table(counts: ReleaseCounts) -> None:
    text = render(counts, users=7)

    assert check_metrics(text.encode()) == ""
    assert "load_users 7" in text
    labels = 'kv_version="1.1.0",kv_track="canary"'
    assert f'load_requests_total{{{labels},outcome="wrong"}} 1' in text
    assert f'load_request_duration_seconds_bucket{{{labels},le="0.025"}} 0' in text
    assert f'load_request_duration_seconds_bucket{{{labels},le="0.1"}} 1' in text


def test_headers_are_escaped_in_the_exposition_and_on_the_page() -> None:
    counts = counts_of((Release('1"\n\\', "<script>"), 0.1, False, False))

    assert check_metrics(render(counts, 0).encode()) == ""
    assert "<script>" not in render_page(counts)


def test_the_page_shows_every_release_of_every_second(counts: ReleaseCounts) -> None:
    page = render_page(counts, ["knee: here"])

    assert page.count("<rect") == 4
    assert "1.1.0 canary" in page
    assert "knee: here" in page


def test_a_table_of_no_requests_is_empty() -> None:
    file = io.StringIO()

    write_csv(file, HEADS, ReleaseCounts().rows())

    assert file.getvalue().splitlines() == [",".join(HEADS)]
    assert "No requests" in render_page(ReleaseCounts())


@pytest.mark.parametrize(
    ("seconds", "rounded"),
    [(0.025, 0.025), (0.02501, 0.026), (0.0014, 0.0014), (9.99, 10.0), (0.0, 1e-5), (0.14, 0.14)],
)
def test_latencies_are_rounded_up_to_two_digits(seconds: float, rounded: float) -> None:
    assert math.isclose(round_up(seconds), rounded)


def test_percentiles_are_the_nearest_rank() -> None:
    latencies = {1: 50, 2: 45, 3: 4, 4: 1}

    assert [percentile(latencies, q) for q in (0.5, 0.95, 0.99, 1.0)] == [1, 2, 3, 4]
    assert percentile({}, 0.5) == 0
