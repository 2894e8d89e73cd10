"""``python -m bench.evidence``: how often rollouts are judged wrongly, and how soon rightly."""

from __future__ import annotations

import sys
from functools import partial

from bench.frame.program import Option, Program, run

from .bad_releases import simulate_harm, simulate_regression, simulate_slow
from .counters import simulate_counters
from .good_releases import simulate_innocent, simulate_outage
from .promotion import simulate_promotion
from .ratio_mismatch import simulate_mismatch
from .scenarios import Sizes, in_pool

PROGRAM = Program(
    name="evidence",
    description="Simulate rollouts of known releases, and count wrong and late verdicts.",
    parts={
        name: partial(in_pool, simulate)
        for name, simulate in {
            "innocent": simulate_innocent,
            "skew": simulate_mismatch,
            "harm": simulate_harm,
            "regression": simulate_regression,
            "promotion": simulate_promotion,
            "slow": simulate_slow,
            "outage": simulate_outage,
            "counters": simulate_counters,
        }.items()
    },
    sizes=Sizes(),
    quick=Sizes(
        good_releases=100, good_release_seconds=900.0, limits_each_scenario=False, others=200
    ),
    options=[Option("seed", int, f"of the random numbers [{Sizes.seed}]")],
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
