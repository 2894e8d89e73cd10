"""``python -m bench.evidence``: simulate rollouts; 1 if a promise is broken."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import active_children, get_context
from typing import Final

from bench.frame.interrupts import Interrupted, unwind_on_signals
from bench.frame.report import Row, render_table, say

from .counters import simulate_counters
from .harm import simulate_harm, simulate_regression, simulate_slow
from .innocent import simulate_innocent
from .options import Options, parse_options
from .outage import simulate_outage
from .promotion import simulate_promotion
from .rows import HEADS
from .skew import simulate_skew

Simulation = Callable[[Options, Executor], Iterator[Row]]

SIMULATIONS: Final[Mapping[str, Simulation]] = {
    "innocent": simulate_innocent,
    "skew": simulate_skew,
    "harm": simulate_harm,
    "regression": simulate_regression,
    "promotion": simulate_promotion,
    "slow": simulate_slow,
    "outage": simulate_outage,
    "counters": simulate_counters,
}


def main() -> int:
    """Return 0, 1 when a limit is broken, 2 when it was interrupted."""
    options = parse_options()
    unwind_on_signals()
    rows: list[Row] = []
    started = time.monotonic()
    # Not forked: what the parent has open is none of the workers' business.
    pool = ProcessPoolExecutor(options.workers, mp_context=get_context("spawn"))
    try:
        for name, simulate in SIMULATIONS.items():
            if name in options.only:
                say(f"{name} ...")
                rows += simulate(options, pool)
    except Interrupted as error:
        # A task takes seconds, and nobody waits for what it finds.
        for worker in active_children():
            worker.terminate()
        print(f"evidence: {error}", file=sys.stderr)
        return 2
    finally:
        pool.shutdown(cancel_futures=True)
    print(render_table(HEADS, rows), flush=True)
    say(f"took {time.monotonic() - started:.0f} s")
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
