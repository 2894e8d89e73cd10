"""``python -m bench.evidence``: how often rollouts are judged wrongly, and how soon rightly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Final

from bench.frame.program import Option, Program, run
from bench.frame.rows import Row

from .bad_releases import (
    simulate_errors,
    simulate_failing,
    simulate_flapping,
    simulate_flips,
    simulate_late,
    simulate_lost,
    simulate_promotion,
    simulate_regression,
    simulate_replaced,
    simulate_slow,
)
from .good_releases import GoodReleases
from .good_worlds import GOOD_WORLDS
from .scenarios import Sizes, in_pool

SIMULATIONS: Final[Mapping[str, Callable[[Sizes, Executor], Iterator[Row]]]] = {
    **{name: GoodReleases(worlds) for name, worlds in GOOD_WORLDS.items()},
    "lost": simulate_lost,
    "failing": simulate_failing,
    "replaced": simulate_replaced,
    "errors": simulate_errors,
    "regression": simulate_regression,
    "slow": simulate_slow,
    "flips": simulate_flips,
    "late": simulate_late,
    "flapping": simulate_flapping,
    "promotion": simulate_promotion,
}

PROGRAM = Program(
    name="evidence",
    description="Simulate rollouts of known releases, and count wrong and late verdicts.",
    parts={name: partial(in_pool, simulate) for name, simulate in SIMULATIONS.items()},
    sizes=Sizes(),
    quick=Sizes(rollouts=3, peers=0, is_full=False),
    options=[
        Option("seed", int, f"of the random numbers [{Sizes.seed}]"),
        Option("rollouts", int, f"in each world [{Sizes.rollouts}]"),
        Option("world", str, "only good, lost and failing ones with this text in their title"),
        Option("peers", int, f"rollouts of each peer in each world [{Sizes.peers}]"),
    ],
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
