"""``python -m bench.cost``: CPU time per request beside other services, start, memory, listings."""

from __future__ import annotations

import sys
from functools import partial

from bench.frame.chart import Chart
from bench.frame.program import Program, run

from .bodies import measure_bodies
from .listing import measure_listing
from .operations import measure_operation
from .run_sizes import Sizes
from .signals import measure_signals
from .startup_and_memory import measure_memory, measure_ready

PROGRAM = Program(
    name="cost",
    description="Measure the CPU time per request beside other services.",
    parts={
        **{
            name: partial(measure_operation, name)
            for name in ("get", "put", "hot", "spread", "batch-get", "batch-add")
        },
        "tax": measure_signals,
        "ready": measure_ready,
        "memory": measure_memory,
        "listing": measure_listing,
        "bodies": measure_bodies,
    },
    sizes=Sizes(),
    quick=Sizes(rounds=1, seconds=1, requests=20_000, entries=100_000, trials=2),
    needs_own_core=True,
    chart=Chart("hellos", "CPU time of the server, 1 = a bare aiohttp hello"),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
