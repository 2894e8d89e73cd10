"""``python -m bench.faults``: break things under load; 1 if a promise is broken."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import redis

from bench.frame.interrupts import Interrupted, unwind_on_signals
from bench.frame.processes import BenchError
from bench.frame.report import Row, render_table, say

from ..consistency.linearizability import Undecided
from .catalogue import FAULTS
from .experiment import Episode, play
from .options import STORM, Options, parse_options
from .retry_storm import measure_storm
from .scenes import Ground, Unavailable
from .table import broken_promises, render_faults


def main() -> int:
    """Return 0, 1 when a promise is broken, 2 when something could not be judged."""
    options = parse_options()
    unwind_on_signals()
    episodes: list[Episode] = []
    rows: list[Row] = []
    unjudged = False
    started = time.monotonic()
    try:
        for name in options.only:
            say(f"{name} ...")
            try:
                if name == STORM:
                    rows += _storm(options)
                else:
                    episodes.append(_play(name, options))
            except Unavailable as lack:
                say(f"{name}: not shown here: {lack}")
            except (BenchError, Undecided, OSError, redis.RedisError) as error:
                # The other faults are still worth their time.
                print(f"faults: {name}: {error}", file=sys.stderr)
                unjudged = True
    except Interrupted as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    if episodes:
        print(render_faults(episodes), flush=True)
    if rows:
        print(render_table(("overload", "found", "beside"), rows), flush=True)
    say(f"took {time.monotonic() - started:.0f} s")
    is_broken = any(map(broken_promises, episodes)) or any(row.failed for row in rows)
    return 2 if unjudged else 1 if is_broken else 0


def _play(name: str, options: Options) -> Episode:
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        ground = Ground(
            directory=Path(directory),
            before_seconds=options.before_seconds,
            fault_seconds=options.fault_seconds,
            after_seconds=options.after_seconds,
            long_pause_seconds=options.long_pause_seconds,
            idle_connections=options.idle_connections,
        )
        return asyncio.run(play(FAULTS[name], ground))


def _storm(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        return measure_storm(Path(directory), options.storm_seconds)


if __name__ == "__main__":
    sys.exit(main())
