"""Releases that do harm: how soon they are rolled back, beside Flagger on the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench.frame.limits import Limit
from bench.frame.report import Row
from rollout.plan.model import Plan

from . import flagger
from .limits import (
    FAILED_AT_5_PERCENT,
    FAILED_AT_100_PERCENT,
    FLAGGER_FAILED_AT_5_PERCENT,
    FLAGGER_FAILED_AT_100_PERCENT,
    FLAGGER_PROMOTES,
    REGRESSION_REQUESTS,
    REGRESSIONS_CAUGHT,
    SLOW_CAUGHT,
)
from .options import Options
from .plans import canary_plan
from .recording import Behaviour, Recording, Replay
from .rollouts import Ending, roll_out
from .rows import percent_row, row
from .workers import Cell, run_cells

RPS = 50
STABLE = Behaviour(0.001)
#: +100 ms for one in twenty; half a percent is slower than the first edge anyway.
SLOWER = Behaviour(0.001, delayed_ratio=0.05)


@dataclass(frozen=True)
class Harmful:
    """One recording, judged by the evidence and by Flagger's algorithm; 10 % is where it starts."""

    canary: Behaviour
    at_ten_percent: bool

    def __call__(self, rng: np.random.Generator) -> tuple[Ending, flagger.Verdict]:
        recording = Recording(rng, RPS)
        plan = self._plan()
        replay = Replay(recording, STABLE, self.canary, plan.objective.slow_seconds)
        ours = roll_out(plan, replay, start=1 if self.at_ten_percent else 0)
        return ours, flagger.judge(recording, self.canary)

    def _plan(self) -> Plan:
        return canary_plan((0.0, 0.1, 1.0)) if self.at_ten_percent else canary_plan()


def simulate_harm(options: Options, executor: Executor) -> Iterator[Row]:
    demanded: list[tuple[float, Limit, Limit]] = [
        (0.05, FAILED_AT_5_PERCENT, FLAGGER_FAILED_AT_5_PERCENT),
        (1.0, FAILED_AT_100_PERCENT, FLAGGER_FAILED_AT_100_PERCENT),
    ]
    cells = [
        Cell(f"{ratio:.0%} errors", options.each, Harmful(Behaviour(ratio), at_ten_percent=True))
        for ratio, _, _ in demanded
    ]
    found = run_cells(executor, (options.seed, 4), cells)
    for (ratio, ours, theirs), pairs in zip(demanded, found, strict=True):
        title = f"{ratio:.0%} errors at weight 10, median failed requests"
        back = sum(ending.rolled_back for ending, _ in pairs)
        seconds = median(ending.seconds for ending, _ in pairs)
        beside = f"{back} of {len(pairs)} rolled back, after {seconds:.0f} s"
        yield row(title, median(ending.failures for ending, _ in pairs), ours, beside=beside)
        yield row(
            f"{title}: Flagger's",
            median(verdict.failures for _, verdict in pairs),
            theirs,
            beside=f"after {median(verdict.seconds for _, verdict in pairs):.0f} s",
        )


def simulate_regression(options: Options, executor: Executor) -> Iterator[Row]:
    cell = Cell(
        "0.8 % errors beside 0.1 %", options.each, Harmful(Behaviour(0.008), at_ten_percent=False)
    )
    (pairs,) = run_cells(executor, (options.seed, 5), [cell])
    back = [ending.requests for ending, _ in pairs if ending.rolled_back]
    yield percent_row(f"{cell.title}: rolled back", len(back), len(pairs), REGRESSIONS_CAUGHT)
    requests = median(back) if back else float("inf")
    shown = f"{requests:,.0f}"
    yield row(
        f"{cell.title}: median requests of the canary", requests, REGRESSION_REQUESTS, shown=shown
    )
    promoted = sum(verdict.promoted for _, verdict in pairs)
    yield percent_row(f"{cell.title}: Flagger promotes", promoted, len(pairs), FLAGGER_PROMOTES)


def simulate_slow(options: Options, executor: Executor) -> Iterator[Row]:
    cell = Cell("+100 ms on 5 %", options.each, Harmful(SLOWER, at_ten_percent=False))
    (pairs,) = run_cells(executor, (options.seed, 6), [cell])
    caught = sum(ending.rolled_back and ending.requests <= 1000 for ending, _ in pairs)
    title = f"{cell.title}: rolled back within 1,000 requests"
    yield percent_row(title, caught, len(pairs), SLOW_CAUGHT)
