"""What both releases depend on is away: nobody is rolled back for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

from bench.frame.report import Row

from .limits import NONE
from .options import Options
from .plans import canary_plan
from .rollouts import Ending, roll_out
from .rows import percent_row
from .traffic import Release, Traffic
from .workers import Cell, run_cells

#: From the first step with a canary to the end of the last that compares, by default.
COMPARED_SECONDS = (60.0, 350.0)
OUTAGE_SECONDS = 10.0


def shared_outage(rng: np.random.Generator) -> Ending:
    """Fail all requests of both for ten seconds, at any time at which there are both."""
    since = rng.uniform(COMPARED_SECONDS[0], COMPARED_SECONDS[1] - OUTAGE_SECONDS)
    release = Release(0.001)
    world = Traffic(
        rng=rng, rps=50, stable=release, canary=release, outage=(since, since + OUTAGE_SECONDS)
    )
    return roll_out(canary_plan(), world)


def simulate_outage(options: Options, executor: Executor) -> Iterator[Row]:
    cell = Cell("Redis away for 10 s", options.outages, shared_outage)
    (endings,) = run_cells(executor, (options.seed, 8), [cell])
    back = sum(ending.rolled_back for ending in endings)
    yield percent_row(f"{cell.title}, for both: rolled back", back, len(endings), NONE)
