"""The tables and files at the end of a run: by version, the knee, and the thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from locust.stats import RequestStats, StatsEntry

from ..latencies import percentile
from ..shapes.knee_search import HEADS as KNEE_HEADS
from ..shapes.knee_search import KneeSearch
from ..thresholds import Measured, Thresholds, Verdict
from . import html_page
from .releases import HEADS, ReleaseCounts, write_csv

ROUTE_HEADS: Final = (
    *("method", "route", "requests", "failures"),
    *("mean ms", "p50 ms", "p95 ms", "p99 ms"),
)


def measured(entry: StatsEntry) -> Measured:
    """Return Locust's counts."""
    seconds = (entry.last_request_timestamp or 0.0) - entry.start_time
    return Measured(entry.num_requests, entry.num_failures, seconds, entry.response_times)


def by_route(stats: RequestStats) -> Mapping[str, Measured]:
    """Return Locust's counts by "METHOD route"."""
    return {f"{method} {name}": measured(each) for (name, method), each in stats.entries.items()}


def judge(
    thresholds: Thresholds, stats: RequestStats, counts: ReleaseCounts, search: KneeSearch | None
) -> list[Verdict]:
    """Return the verdicts. A search for the knee breaks the other thresholds on purpose."""
    if search is not None:
        return [Verdict("wrong answers", counts.wrong, 0), *search.judge()]
    return thresholds.judge(measured(stats.total), by_route(stats), counts.wrong)


def print_summary(
    counts: ReleaseCounts, verdicts: Sequence[Verdict], search: KneeSearch | None
) -> None:
    """Print the tables."""
    print("\nBy version\n" + align([HEADS, *counts.rows()]))
    if search is not None:
        print("\n" + align([KNEE_HEADS, *(step.row for step in search.steps)]))
        print(search.describe())
    heads = ("demanded", "found", "bound", "")
    print("\n" + align([heads, *(verdict.row for verdict in verdicts)]), flush=True)


def write_reports(
    directory: Path, stats: RequestStats, counts: ReleaseCounts, search: KneeSearch | None
) -> None:
    """Write the files of ``--report-dir``.

    Locust's own ``--csv`` is written once a second, without the last second.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "versions.csv").open("w", newline="") as file:
        write_csv(file, HEADS, counts.rows())
    with (directory / "answers.csv").open("w", newline="") as file:
        rows = [(*kind, count) for kind, count in sorted(counts.answers.items())]
        write_csv(file, ("method", "route", "status", "requests"), rows)
    with (directory / "routes.csv").open("w", newline="") as file:
        write_csv(file, ROUTE_HEADS, _route_rows(stats))
    with (directory / "failures.csv").open("w", newline="") as file:
        errors = [
            (each.method, each.name, each.parse_error(each.error), each.occurrences)
            for each in stats.errors.values()
        ]
        write_csv(file, ("method", "route", "error", "requests"), sorted(errors))
    notes = []
    if search is not None:
        notes.append(search.describe())
        with (directory / "knee.csv").open("w", newline="") as file:
            write_csv(file, KNEE_HEADS, (step.row for step in search.steps))
    (directory / "versions.html").write_text(html_page.render(counts, notes))


def _route_rows(stats: RequestStats) -> Iterator[tuple[object, ...]]:
    for (name, method), each in sorted(stats.entries.items()):
        percentiles = (percentile(each.response_times, ratio) for ratio in (0.5, 0.95, 0.99))
        mean = f"{each.avg_response_time:.6g}"
        yield (method, name, each.num_requests, each.num_failures, mean, *percentiles)


def align(lines: Sequence[Sequence[str]]) -> str:
    """Return the cells in columns: the first one left-aligned, the others right-aligned."""
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    rendered = [
        "  ".join((line[0].ljust(first), *map(str.rjust, line[1:], others))).rstrip()
        for line in lines
    ]
    rendered.insert(1, "-" * max(map(len, rendered)))
    return "\n".join(rendered)
