"""What is said at the end of a run: by version, the knee, what was demanded; and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from locust.stats import RequestStats, StatsEntry

from . import split_plot
from .knee import HEADS as KNEE_HEADS
from .knee import KneeSearch
from .latencies import percentile
from .table import align
from .thresholds import Measured, Thresholds, Verdict
from .versions import HEADS, Tally, write_csv

ROUTE_HEADS: Final = (
    *("method", "route", "requests", "failures"),
    *("mean ms", "p50 ms", "p95 ms", "p99 ms"),
)


def measured(entry: StatsEntry) -> Measured:
    """Return what locust counted."""
    seconds = (entry.last_request_timestamp or 0.0) - entry.start_time
    return Measured(entry.num_requests, entry.num_failures, seconds, entry.response_times)


def by_route(stats: RequestStats) -> Mapping[str, Measured]:
    """Return what locust counted of each route, by "METHOD route"."""
    return {f"{method} {name}": measured(each) for (name, method), each in stats.entries.items()}


def judge(
    thresholds: Thresholds, stats: RequestStats, tally: Tally, search: KneeSearch | None
) -> list[Verdict]:
    """Return the verdicts; a search of the knee breaks what else is demanded on purpose."""
    if search is not None:
        return [Verdict("wrong answers", tally.wrong, 0), *search.judge()]
    return thresholds.judge(measured(stats.total), by_route(stats), tally.wrong)


def tell(tally: Tally, verdicts: Sequence[Verdict], search: KneeSearch | None) -> None:
    """Print the tables."""
    print("\nBy version\n" + align([HEADS, *tally.rows()]))
    if search is not None:
        print("\n" + align([KNEE_HEADS, *(rung.row for rung in search.rungs)]))
        print(search.describe())
    heads = ("demanded", "found", "bound", "")
    print("\n" + align([heads, *(verdict.row for verdict in verdicts)]), flush=True)


def write_reports(
    directory: Path, stats: RequestStats, tally: Tally, search: KneeSearch | None
) -> None:
    """Write the files that ``--report-dir`` promises.

    Locust's own ``--csv`` is written once a second, and does not have the last one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "versions.csv").open("w", newline="") as file:
        write_csv(file, HEADS, tally.rows())
    with (directory / "answers.csv").open("w", newline="") as file:
        rows = [(*question, count) for question, count in sorted(tally.answers.items())]
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
            write_csv(file, KNEE_HEADS, (rung.row for rung in search.rungs))
    (directory / "versions.html").write_text(split_plot.render(tally, notes))


def _route_rows(stats: RequestStats) -> Iterator[tuple[object, ...]]:
    for (name, method), each in sorted(stats.entries.items()):
        percentiles = (percentile(each.response_times, ratio) for ratio in (0.5, 0.95, 0.99))
        mean = f"{each.avg_response_time:.6g}"
        yield (method, name, each.num_requests, each.num_failures, mean, *percentiles)
