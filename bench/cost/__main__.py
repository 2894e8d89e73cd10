"""``python -m bench.cost``: CPU time per request beside other services, start, memory, listings."""

from __future__ import annotations

import sys
from functools import partial

from bench.frame.chart import Chart
from bench.frame.program import Option, Program, run

from .bodies import measure_bodies
from .door import measure_door
from .large import measure_large
from .listing import measure_listing
from .operations import measure_operation
from .peers.commands import parse_peer, parse_peer_path
from .run_sizes import Sizes
from .signals import measure_signals
from .startup_and_memory import measure_memory, measure_ready
from .subjects import OURS

PROGRAM = Program(
    name="cost",
    description="Measure the CPU time per request beside other services.",
    parts={
        **{
            name: partial(measure_operation, name)
            for name in ("get", "put", "hot", "spread", "batch-get", "batch-add")
        },
        "large": measure_large,
        "tax": measure_signals,
        "door": measure_door,
        "ready": measure_ready,
        "memory": measure_memory,
        "listing": measure_listing,
        "bodies": measure_bodies,
    },
    sizes=Sizes(),
    options=(
        Option(
            "peer",
            parse_peer,
            "measure this service too; COMMAND may contain {port}, {redis_port} and {redis_url}",
            metavar="NAME=COMMAND",
            is_repeatable=True,
        ),
        Option(
            "peer-path",
            parse_peer_path,
            "what it serves, if not GET and PUT /kv/{key} and POST /counters/{key};"
            " OPERATION is get, put or hot",
            metavar="'NAME.OPERATION=METHOD PATH'",
            is_repeatable=True,
        ),
    ),
    quick=Sizes(rounds=1, seconds=1, latency_seconds=1, requests=20_000, entries=100_000, trials=2),
    needs_own_core=True,
    chart=Chart(
        "hellos",
        "CPU time of the server for one operation (less is better), 1 = a bare aiohttp hello",
        server=OURS,
    ),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
