"""``python -m bench.suite``: ``make test`` again and again, several at once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from bench.frame.cores import busy_ratio
from bench.frame.errors import BenchError
from bench.frame.processes import ROOT
from bench.frame.program import Option, Program, Run, run, say
from bench.frame.rows import Row, at_least, at_most

from .checkouts import SuiteRun, suite_run

#: Several at once are the load of each other.
AT_ONCE: Final = 2
FAILED: Final = at_most(0)
#: Of the time in which several runs are under way, in percent.
BUSY: Final = at_least(90)
WATCH_SECONDS: Final = 2.0
#: Here the output of a run that failed stays until the next start: how a test failed is seldom
#: seen a second time.
KEPT: Final = ROOT / "build" / "suite"


@dataclass(frozen=True)
class Sizes:
    times: int = 10


def parse_times(text: str) -> int:
    """Return the number; raise ValueError if it is none, or less than 1."""
    if (times := int(text)) < 1:
        raise ValueError(text)
    return times


def measure_suite(part: Run[Sizes]) -> Iterator[Row]:
    """Keep AT_ONCE runs under way until all have ended. Yield a row for each."""
    shutil.rmtree(KEPT, ignore_errors=True)
    waiting = list(range(1, part.sizes.times + 1))
    under_way: dict[int, SuiteRun] = {}
    busy: list[float] = []
    with ExitStack() as stack:
        while waiting or under_way:
            while waiting and len(under_way) < AT_ONCE:
                number = waiting.pop(0)
                directory = part.directory / str(number)
                directory.mkdir()
                under_way[number] = stack.enter_context(suite_run(directory))
                say(f"run {number} of {part.sizes.times} has begun")
            ratio = busy_ratio(part.cores, WATCH_SECONDS)
            if len(under_way) > 1:
                busy.append(ratio)
            for number in [each for each, suite in under_way.items() if suite.has_ended()]:
                row = row_of(number, under_way.pop(number), KEPT)
                say(f"{row.title}: {row.value:.0f}, {row.note}")
                yield row
    if busy:
        yield Row("cores busy, while several run", mean(busy) * 100, "%", BUSY)


def row_of(number: int, suite: SuiteRun, kept: Path) -> Row:
    """Return what came of an ended run. Copy the output of one that failed to ``kept``."""
    title = f"run {number}: failed"
    try:
        report = suite.report()
    except BenchError as error:  # the other runs go on
        return Row(title, 1, "run", FAILED, f"{_keep(number, suite, kept)}: {error}")
    notes = [f"{report.tests:,} tests, {report.skipped} skipped, {suite.minutes:.0f} min"]
    if report.failed:
        notes += [*report.failed, _keep(number, suite, kept)]
    return Row(title, len(report.failed), "tests", FAILED, "; ".join(notes))


def _keep(number: int, suite: SuiteRun, kept: Path) -> str:
    kept.mkdir(parents=True, exist_ok=True)
    return str(shutil.copyfile(suite.output, kept / f"run-{number}.txt"))


PROGRAM = Program(
    name="suite",
    description=f"Run the tests in clean checkouts of the last commit, {AT_ONCE} at once.",
    parts={"suite": measure_suite},
    sizes=Sizes(),
    quick=Sizes(times=2),
    options=[Option("times", parse_times, "how often [10]")],
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
