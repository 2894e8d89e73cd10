"""``python -m bench.cost``: measure, print tables, draw a chart; 1 if a limit is broken."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..frame.cores import QUIET, available_cores
from ..frame.interrupts import Interrupted, unwind_on_signals
from ..frame.processes import ROOT, BenchError, Cores
from ..frame.report import Row, render_table, say
from ..testbed.wrk import Load
from . import table
from .costs import measure_costs
from .listing import measure_listing
from .memory import measure_resident_mib
from .options import COSTS, Options, parse_options
from .ready import measure_ready_seconds
from .tax import measure_tax

CHART: Final = ROOT / "build" / "bench.png"


def main() -> int:
    """Return 0, 1 when a limit is broken, 2 when something could not be measured."""
    options = parse_options()
    unwind_on_signals()
    rows: list[Row] = []
    unmeasured = False
    try:
        server, aside = ((core,) for core in available_cores())
        # The bench itself stays off the server's core.
        os.sched_setaffinity(0, aside)
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            bench = Bench(options, Load(Path(directory), aside), server, aside, Path(directory))
            for part in bench.parts():
                try:
                    rows += part()
                except (BenchError, OSError) as error:
                    # What remains to be measured is still worth its time.
                    print(f"bench: {error}", file=sys.stderr)
                    unmeasured = True
    except (BenchError, Interrupted) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if failed := [row.title for row in rows if row.failed]:
        print(f"over the limit: {'; '.join(failed)}")
    return 2 if unmeasured else 1 if failed else 0


@dataclass(frozen=True)
class Bench:
    """The parts of the bench; each prints its table as soon as it has one."""

    options: Options
    load: Load
    server: Cores
    aside: Cores
    directory: Path

    def parts(self) -> Iterator[Callable[[], list[Row]]]:
        """Give the parts that were asked for."""
        only = self.options.only
        if only & set(COSTS):
            yield self.costs
        if "tax" in only:
            yield self.tax
        if "ready" in only:
            yield self.ready
        if "memory" in only:
            yield self.memory
        if "listing" in only:
            yield self.listing

    def costs(self) -> list[Row]:
        costs, others = measure_costs(
            self.load, self.options, self.server, self.aside, self.directory
        )
        # Imported late: matplotlib takes a second, and the other parts do without it.
        from .chart import draw_chart

        draw_chart(costs, CHART)
        say(f"drew {CHART}")
        rows = _shown(table.COST_HEADS, table.cost_rows(costs))
        rows += _shown(table.LESS_HEADS, table.less_rows(costs))
        if others > QUIET:
            print(f"Other processes kept the two cores {others:.0%} busy: take these with care.\n")
        return rows

    def tax(self) -> list[Row]:
        taxes = measure_tax(self.load, self.options, self.server, self.aside, self.directory)
        return _shown(table.TAX_HEADS, table.tax_rows(*taxes))

    def ready(self) -> list[Row]:
        seconds = measure_ready_seconds((*self.server, *self.aside))
        return _shown(table.READY_HEADS, [table.ready_row(seconds)])

    def memory(self) -> list[Row]:
        mib = measure_resident_mib(self.load, self.options, self.server, self.aside)
        return _shown(table.MEMORY_HEADS, [table.memory_row(mib, self.options.requests)])

    def listing(self) -> list[Row]:
        pages = measure_listing(self.options.entries, self.server, self.aside)
        return _shown(table.listing_heads(self.options.entries), table.listing_rows(*pages))


def _shown(heads: Sequence[str], rows: list[Row]) -> list[Row]:
    if rows:
        print(render_table(heads, rows), end="\n\n", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
