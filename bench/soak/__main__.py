"""``python -m bench.soak``: under steady traffic no resource of the service may grow."""

from __future__ import annotations

import sys

from bench.frame.program import Option, Program, run

from .service import Sizes, measure_soak, parse_minutes

PROGRAM = Program(
    name="soak",
    description="Measure the growth of the service's resources under steady traffic.",
    parts={"service": measure_soak},
    sizes=Sizes(),
    quick=Sizes(minutes=1.0),
    options=[Option("minutes", parse_minutes, "how long to measure; at least 0.2 [10]")],
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
