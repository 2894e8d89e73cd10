"""``python -m bench.signals``: check the signals on real services; 1 if a limit is broken."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.frame.cores import QUIET, available_cores, busy_ratio
from bench.frame.interrupts import Interrupted, unwind_on_signals
from bench.frame.processes import BenchError, Cores
from bench.frame.report import Row, render_table, say
from bench.testbed.wrk import Load

from .black_hole import measure_black_hole
from .cardinality import measure_cardinality
from .gate import measure_gate
from .loop_block import measure_loop_blocks
from .options import Options, parse_options
from .rows import HEADS
from .stopping import measure_stopping


def main() -> int:
    """Return 0, 1 when a limit is broken, 2 when something could not be measured."""
    options = parse_options()
    unwind_on_signals()
    rows: list[Row] = []
    unmeasured = False
    started = time.monotonic()
    try:
        server, aside = ((core,) for core in available_cores())
        # The client itself stays off the service's core.
        os.sched_setaffinity(0, aside)
        others = busy_ratio((*server, *aside))
        say(f"the machine is {others:.0%} busy before")
        with tempfile.TemporaryDirectory(prefix="observe-") as directory:
            observation = Observation(options, server, aside, Path(directory))
            for part in observation.parts():
                try:
                    rows += part()
                except (BenchError, OSError) as error:
                    # What remains to be seen is still worth its time.
                    print(f"observe: {error}", file=sys.stderr)
                    unmeasured = True
    except (BenchError, Interrupted) as error:
        print(f"observe: {error}", file=sys.stderr)
        return 2
    print(render_table(HEADS, rows), flush=True)
    if others > QUIET:
        print(f"Other processes kept the two cores {others:.0%} busy: take times with care.")
    say(f"took {time.monotonic() - started:.0f} s")
    return 2 if unmeasured else 1 if any(row.failed for row in rows) else 0


@dataclass(frozen=True)
class Observation:
    """The parts, each with services of its own."""

    options: Options
    server: Cores
    aside: Cores
    directory: Path

    def parts(self) -> Iterator[Callable[[], list[Row]]]:
        """Give the parts that were asked for."""
        parts: dict[str, Callable[[], list[Row]]] = {
            "gate": self.gate,
            "cardinality": self.cardinality,
            "stopping": self.stopping,
            "black-hole": self.black_hole,
            "loop-block": self.loop_block,
        }
        for name, part in parts.items():
            if name in self.options.only:
                yield part

    def gate(self) -> list[Row]:
        return measure_gate(self.options, self.server, self.aside, self.directory)

    def cardinality(self) -> list[Row]:
        return measure_cardinality(self.options, self.server, self.aside)

    def stopping(self) -> list[Row]:
        return measure_stopping(self.options, self.server, self.aside, self.directory)

    def black_hole(self) -> list[Row]:
        load = Load(self.directory, self.aside)
        return measure_black_hole(self.options, load, self.server, self.aside)

    def loop_block(self) -> list[Row]:
        return measure_loop_blocks(self.options, self.server, self.aside)


if __name__ == "__main__":
    sys.exit(main())
