"""Releases as good as the old one: how often the evidence is wrong about them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.report import Row
from rollout.evidence.objective import Objective
from rollout.runner.decisions import Reason

from .limits import FALSE_ROLLBACKS, FALSE_ROLLBACKS_BOUND
from .options import Options
from .plans import canary_plan
from .rollouts import Ending, only_the_last, roll_out
from .rows import bound_row, percent_row
from .traffic import Release, Traffic, drifting_rates, drifting_share
from .workers import Cell, run_cells

#: The most by which error ratios are multiplied for a time.
SWING = 2.0
RATIOS = (0.001, 0.005, 0.01, 0.05)
RATES = (2, 10, 50)


@dataclass(frozen=True)
class Innocent:
    """Both alike, with heavy tails; error ratios swing, the share drifts to three times."""

    error_ratio: float
    rps: float
    deadline_seconds: float
    swing: float = SWING

    def __call__(self, rng: np.random.Generator) -> Ending:
        release = Release(self.error_ratio)
        world = Traffic(
            rng=rng,
            rps=self.rps,
            stable=release,
            canary=release,
            rates=drifting_rates(rng, self.swing),
            shares=drifting_share(rng),
        )
        plan = canary_plan(deadline_seconds=self.deadline_seconds)
        # Told of the desired share, the rollout would hold at once for the mismatch.
        return roll_out(plan, world, tell=only_the_last)


def simulate_innocent(options: Options, executor: Executor) -> Iterator[Row]:
    cells = [
        Cell(
            f"innocent, {ratio:.1%} errors, {rps} rps",
            options.innocent,
            Innocent(ratio, rps, options.innocent_seconds, _swing(ratio)),
        )
        for ratio in RATIOS
        for rps in RATES
    ]
    found = run_cells(executor, (options.seed, 1), cells)
    rolled_back = [sum(ending.rolled_back for ending in endings) for endings in found]
    if options.cell_by_cell:
        for cell, wrong in zip(cells, rolled_back, strict=True):
            title = f"{cell.title}: rolled back"
            yield percent_row(title, wrong, cell.rollouts, FALSE_ROLLBACKS)
            yield bound_row(title, wrong, cell.rollouts, FALSE_ROLLBACKS_BOUND)
    title = "innocent, all cells: rolled back"
    total = options.innocent * len(cells)
    yield percent_row(title, sum(rolled_back), total, FALSE_ROLLBACKS)
    yield bound_row(title, sum(rolled_back), total, FALSE_ROLLBACKS_BOUND)
    yield from _beyond(options, executor)


def _swing(error_ratio: float) -> float:
    """Return how far a ratio may swing: one that keeps the objective at times keeps it always.

    One that never keeps it is never proven, and so never without stable beside it.
    """
    objective = Objective().error_ratio
    return min(SWING, objective / error_ratio) if error_ratio <= objective else SWING


def _beyond(options: Options, executor: Executor) -> Iterator[Row]:
    """Yield what no evidence can spare a release that is proven in good times and alone in bad.

    Alone, with nothing to compare with, it misses its objective, and that is all that is known.
    """
    ratio = Objective().error_ratio
    rollouts = options.each
    cell = Cell("beyond", rollouts, Innocent(ratio, 50, options.innocent_seconds))
    (endings,) = run_cells(executor, (options.seed, 10), [cell])
    harm = sum(ending.reason is Reason.HARM for ending in endings)
    breach = sum(ending.reason is Reason.BREACH for ending in endings)
    title = "innocent, swings to twice the objective: "
    yield bound_row(f"{title}rolled back for harm", harm, rollouts, FALSE_ROLLBACKS_BOUND)
    yield percent_row(f"{title}for a breach, alone", breach, rollouts, None)
