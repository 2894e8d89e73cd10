"""``python -m bench.scale``: measure, print tables, draw a chart; 1 if a limit is broken."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.frame.cores import QUIET, available_cores, busy_ratio
from bench.frame.interrupts import Interrupted, unwind_on_signals
from bench.frame.limits import Limit
from bench.frame.processes import ROOT, BenchError, Cores
from bench.frame.report import Row, render_table, say
from bench.testbed.wrk import Load

from . import limits
from .options import Options, parse_options
from .sweeps import sweep_connections, sweep_keys, sweep_sizes
from .table import SWEEP_HEADS, WORKER_HEADS, sweep_rows, worker_rows
from .turns import Measured
from .workers import ENOUGH_CORES, measure_workers

CHART: Final = ROOT / "build" / "scale.png"


def main() -> int:
    """Return 0, 1 when a limit is broken, 2 when something could not be measured."""
    options = parse_options()
    unwind_on_signals()
    rows: list[Row] = []
    unmeasured = False
    try:
        available_cores()
        cores = tuple(sorted(os.sched_getaffinity(0)))
        others = busy_ratio(cores)
        with tempfile.TemporaryDirectory(prefix="scale-") as directory:
            scale = Scale(options, Path(directory), cores)
            for part in scale.parts():
                try:
                    rows += part()
                except (BenchError, OSError) as error:
                    # What remains to be measured is still worth its time.
                    print(f"scale: {error}", file=sys.stderr)
                    unmeasured = True
            scale.draw()
    except (BenchError, Interrupted) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 2
    if others > QUIET:
        print(f"Other processes kept the cores {others:.0%} busy before: take this with care.")
    if failed := [row.title for row in rows if row.failed]:
        print(f"over the limit: {'; '.join(failed)}")
    return 2 if unmeasured else 1 if failed else 0


@dataclass
class Scale:
    """The parts; each prints its table as soon as it has one."""

    options: Options
    directory: Path
    cores: Cores
    #: What the chart shows, by the name of its axis.
    swept: dict[str, list[Measured]] = field(default_factory=dict)

    def parts(self) -> Iterator[Callable[[], list[Row]]]:
        """Give the parts that were asked for."""
        named = {
            "workers": self.workers,
            "keys": self.keys,
            "sizes": self.sizes,
            "connections": self.connections,
        }
        yield from (part for name, part in named.items() if name in self.options.only)

    def workers(self) -> list[Row]:
        gains = measure_workers(self.directory, self.options, self.cores)
        rows = _shown(WORKER_HEADS, worker_rows(gains))
        if len(self.cores) < ENOUGH_CORES:
            print("The workers share their cores with the load: CPU-corrected ratios are judged.\n")
        return rows

    def keys(self) -> list[Row]:
        found = sweep_keys(self._load(), self.options, *self._cores())
        return self._swept("keys in the store", found, limits.MORE_KEYS)

    def sizes(self) -> list[Row]:
        found = sweep_sizes(self._load(), self.options, *self._cores())
        return self._swept("bytes in a value", found, limits.LARGER_VALUES)

    def connections(self) -> list[Row]:
        found = sweep_connections(self._load(), self.options, *self._cores())
        return self._swept("busy connections", found, limits.MORE_CONNECTIONS)

    def draw(self) -> None:
        if self.swept:
            # Imported late: matplotlib takes a second, and the tables do without it.
            from .chart import draw_chart

            draw_chart(self.swept, CHART)
            say(f"drew {CHART}")

    def _swept(
        self, name: str, found: list[Measured], limit: Limit | Mapping[int, Limit]
    ) -> list[Row]:
        self.swept[name] = found
        return _shown((name, *SWEEP_HEADS), sweep_rows(found, limit))

    def _load(self) -> Load:
        return Load(self.directory, self._cores()[1])

    def _cores(self) -> tuple[Cores, Cores]:
        """Return the service's core, and that of Redis, the load and whoever measures."""
        os.sched_setaffinity(0, self.cores[1:2])
        return self.cores[:1], self.cores[1:2]


def _shown(heads: tuple[str, ...], rows: list[Row]) -> list[Row]:
    print(render_table(heads, rows), end="\n\n", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
