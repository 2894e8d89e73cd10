"""``python -m bench.faults``: inject faults under load, and check what clients were answered."""

from __future__ import annotations

import sys
from functools import partial

from bench.frame.program import Program, run

from .experiment import Sizes, measure_fault
from .injections import FAULTS
from .retry_storm import measure_retry_storm

PROGRAM = Program(
    name="faults",
    description="Inject faults under load, and compare the answers with the store.",
    parts={
        **{fault.name: partial(measure_fault, fault) for fault in FAULTS},
        "retry-storm": measure_retry_storm,
    },
    sizes=Sizes(),
    quick=Sizes(
        before_seconds=1.0,
        fault_seconds=1.5,
        after_seconds=3.0,
        long_pause_seconds=5.0,
        idle_connections=2_000,
        storm_seconds=2.0,
    ),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
