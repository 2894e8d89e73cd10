"""``python -m bench.memory``: what clients can make the service hold, and whom they hold up."""

from __future__ import annotations

import sys

from bench.frame.program import Program, run

from .attacks import ATTACKS
from .service import Sizes, part_of

PROGRAM = Program(
    name="memory",
    description="Measure the service's memory while 64 clients send the largest requests.",
    parts={name.replace(" ", "-"): part_of(name) for name in ATTACKS},
    sizes=Sizes(),
    quick=Sizes(requests=200),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
