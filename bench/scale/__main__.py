"""``python -m bench.scale``: CPU time, rate and p99 by workers, keys, value size, connections."""

from __future__ import annotations

import sys

from bench.frame.chart import Chart
from bench.frame.program import Option, Program, run

from .idle import measure_idle
from .points import Sizes
from .sweeps import sweep_connections, sweep_keys, sweep_sizes
from .workers import measure_workers

PROGRAM = Program(
    name="scale",
    description="Measure how the CPU time of a request grows along four scales.",
    parts={
        "workers": measure_workers,
        "keys": sweep_keys,
        "sizes": sweep_sizes,
        "connections": sweep_connections,
        "idle": measure_idle,
    },
    sizes=Sizes(),
    quick=Sizes(rounds=2, seconds=1, keys=100_000, idle=1000),
    options=(Option("workers", int, "how many workers are compared with one [2]", metavar="N"),),
    needs_own_core=True,
    chart=Chart("µs", "CPU time of the service for each request, µs", is_logarithmic=True),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
