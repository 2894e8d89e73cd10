"""Splits that are not as desired: seen, harmless to the verdict, and fatal to fixed weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.report import Row
from rollout.evidence import Evidence
from rollout.evidence.objective import Objective

from .limits import (
    FALSE_MISMATCHES_BOUND,
    FALSE_ROLLBACKS_BOUND,
    FIXED_WEIGHTS_FAIL,
    MISMATCHES_SEEN,
    NONE,
)
from .options import Options
from .plans import canary_plan
from .rollouts import Ending, roll_out
from .rows import bound_row, percent_row
from .traffic import Release, Traffic, drifting_share, steady
from .workers import Cell, run_cells

SHARE = 0.1
SECONDS = 600
RELEASE = Release(0.05)


@dataclass(frozen=True)
class Told:
    """A rollout whose evidence knows the desired split, which the actual one leaves or keeps."""

    drifting: bool

    def __call__(self, rng: np.random.Generator) -> Ending:
        world = Traffic(
            rng=rng,
            rps=50,
            stable=Release(0.001),
            canary=Release(0.001),
            shares=drifting_share(rng) if self.drifting else steady,
        )
        return roll_out(canary_plan(deadline_seconds=900.0), world)


def compare_with_fixed_weights(rng: np.random.Generator) -> tuple[bool, bool]:
    """Tell whether the evidence, and fixed weights, ever roll back at a share that drifts."""
    world = Traffic(rng=rng, rps=50, stable=RELEASE, canary=RELEASE, shares=drifting_share(rng))
    evidence = Evidence(Objective())
    threshold = 1 / evidence.objective.false_rollback
    ours = theirs = False
    for number in range(int(SECONDS / world.seconds)):
        evidence.observe(world.window(number * world.seconds, SHARE), None)
        ours = ours or evidence.harmful
        bad = evidence.stable.failures, evidence.canary.failures
        theirs = theirs or fixed_weights(*bad) >= math.log(threshold)
    return ours, theirs


def fixed_weights(stable: int, canary: int, share: float = SHARE, strength: float = 100.0) -> float:
    """Return the log e-value against "bad requests are split as all of them should be".

    The sequential multinomial test of Lindon and Malek (NeurIPS 2022) with two arms: a Dirichlet
    prior of that strength around the desired split, B(a + S) / B(a) / prod(share ** S).
    """
    arms = ((1 - share, stable), (share, canary))
    return (
        sum(math.lgamma(strength * part + count) for part, count in arms)
        - math.lgamma(strength + stable + canary)
        - sum(math.lgamma(strength * part) for part, _ in arms)
        + math.lgamma(strength)
        - sum(count * math.log(part) for part, count in arms)
    )


def simulate_skew(options: Options, executor: Executor) -> Iterator[Row]:
    cells = [
        Cell("split as desired", options.innocent, Told(drifting=False)),
        Cell("split drifts to 3x", options.each, Told(drifting=True)),
    ]
    kept, drifted = run_cells(executor, (options.seed, 2), cells)
    mismatched = [sum(ending.mismatched for ending in endings) for endings in (kept, drifted)]
    if options.cell_by_cell:
        yield bound_row(
            "split as desired: mismatch", mismatched[0], len(kept), FALSE_MISMATCHES_BOUND
        )
    yield percent_row("split drifts to 3x: mismatch", mismatched[1], len(drifted), MISMATCHES_SEEN)
    back = sum(ending.rolled_back for ending in drifted)
    yield percent_row("split drifts to 3x: rolled back", back, len(drifted), NONE)
    pairs = Cell("fixed weights", options.each, compare_with_fixed_weights)
    (found,) = run_cells(executor, (options.seed, 3), [pairs])
    ours, theirs = (sum(column) for column in zip(*found, strict=True))
    title = "share drifts from 10 to 30 %, both 5 % errors: "
    yield bound_row(f"{title}rolled back", ours, len(found), FALSE_ROLLBACKS_BOUND)
    yield percent_row(f"{title}by fixed weights", theirs, len(found), FIXED_WEIGHTS_FAIL)
