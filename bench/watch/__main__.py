"""``python -m bench.watch``: what watchers know after faults, and what watching costs."""

from __future__ import annotations

import sys
from functools import partial

from bench.frame.program import Option, Program, run

from .cost import fan_out, idle, unwatched
from .faults import ALL, watch_fault
from .sizes import Sizes

PROGRAM = Program(
    name="watch",
    description="Watch through faults, and measure what watchers cost.",
    parts={
        **{fault.name: partial(watch_fault, fault) for fault in ALL},
        "idle": idle,
        "fan-out": fan_out,
        "unwatched": unwatched,
    },
    sizes=Sizes(),
    quick=Sizes(
        before_seconds=1.0,
        fault_seconds=1.5,
        after_seconds=2.0,
        idle_seconds=5.0,
        changes=10,
        rounds=1,
    ),
    options=(Option("before", str, "a checkout of the code to compare GETs with"),),
    needs_own_core=True,
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
