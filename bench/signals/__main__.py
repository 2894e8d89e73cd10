"""``python -m bench.signals``: check metrics, traces and logs on real services."""

from __future__ import annotations

import sys

from bench.frame.program import Program, run

from .blocked_loop import measure_blocked_loop
from .cardinality import measure_cardinality
from .hanging_collector import measure_hanging_collector
from .run_sizes import Sizes
from .sampling import measure_sampling
from .shutdown import measure_shutdown

PROGRAM = Program(
    name="signals",
    description="Measure whether metrics, traces and logs are true, and what they cost.",
    parts={
        "gate": measure_sampling,
        "cardinality": measure_cardinality,
        "stopping": measure_shutdown,
        "black-hole": measure_hanging_collector,
        "loop-block": measure_blocked_loop,
    },
    sizes=Sizes(),
    quick=Sizes(undecided=50_000, decided=5_000, scrapes=20, before_stop_seconds=2, windows=5),
    needs_own_core=True,
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
