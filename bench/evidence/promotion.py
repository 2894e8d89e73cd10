"""What it takes to be promoted, and who never is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.report import Row
from rollout.evidence.counts import Counts, Window
from rollout.runner.decisions import Action

from .limits import ALL, CLEAN_PROMOTED, FALSE_PROMOTIONS_BOUND, FEWEST_REQUESTS
from .options import Options
from .plans import canary_plan
from .rollouts import Ending, roll_out
from .rows import bound_row, percent_row, row
from .traffic import Release, Traffic
from .workers import Cell, run_cells


@dataclass(frozen=True)
class Candidate:
    """A canary that errs at this ratio, beside a stable that does so too."""

    error_ratio: float
    rps: float = 50.0
    deadline_seconds: float = 3600.0

    def __call__(self, rng: np.random.Generator) -> Ending:
        release = Release(self.error_ratio)
        world = Traffic(rng=rng, rps=self.rps, stable=release, canary=release)
        return roll_out(canary_plan(deadline_seconds=self.deadline_seconds), world)


@dataclass(slots=True)
class Few:
    """That many requests of the canary in all, at the first step that has any."""

    left: int

    def window(self, since: float, share: float | None) -> Window:
        canary = 1 if share and self.left else 0
        self.left -= canary
        old = Counts(5 * canary or 5 * (share == 0), 0, (0, 0, 0))
        return Window(since, since + 5.0, old, Counts(canary, 0, (0, 0, 0)))


def simulate_promotion(options: Options, executor: Executor) -> Iterator[Row]:
    cells = [
        Cell("twice the objective", options.each, Candidate(0.02)),
        Cell("no errors", options.each, Candidate(0.0)),
        Cell("0.1 % errors", options.each, Candidate(0.001)),
    ]
    bad, clean, good = run_cells(executor, (options.seed, 7), cells)
    yield bound_row(
        "2 % errors, twice the objective: promoted",
        sum(ending.promoted for ending in bad),
        len(bad),
        FALSE_PROMOTIONS_BOUND,
    )
    for title, endings in (("no errors", clean), ("0.1 % errors, both", good)):
        promoted = sum(ending.promoted for ending in endings)
        yield percent_row(f"{title}: promoted", promoted, len(endings), CLEAN_PROMOTED)
        fewest = min(ending.proven_by for ending in endings if ending.proven_by is not None)
        yield row(f"{title}: fewest requests that proved it", fewest, FEWEST_REQUESTS)
    for requests in (0, 5):
        ending = roll_out(canary_plan(), Few(requests))
        inconclusive = ending.action is Action.INCONCLUSIVE
        beside = f"after {ending.seconds:.0f} s, {ending.requests} requests"
        title = f"{requests} requests of the canary: inconclusive"
        yield row(title, 100 * inconclusive, ALL, shown=ending.action, beside=beside)
