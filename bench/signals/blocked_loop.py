"""Whether the lag metric shows a blocked event loop in the next scrape.

SIGSTOP for 200 ms has the same effect on the loop as code that blocks it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Final

from bench.frame.program import Run
from bench.frame.rows import Row
from bench.testbed.scrape import scrape
from bench.testbed.servers import Service, running_stack

from . import limits
from .run_sizes import Sizes

BLOCK_SECONDS: Final = 0.2
#: The loop observes its lag within a turn or two.
SETTLE_SECONDS: Final = 0.1
_BELOW: Final = 'kv_event_loop_lag_seconds_bucket{le="0.1"}'
_ALL: Final = "kv_event_loop_lag_seconds_count"


def measure_blocked_loop(run: Run[Sizes]) -> Iterator[Row]:
    shown, unprovoked = 0, 0.0
    with running_stack(run.server_cores, run.load_cores) as stack:
        last = _count_lags(stack.tallykv)
        for _ in range(run.sizes.blocks):
            # At a random phase of the timer that watches the loop.
            time.sleep(random.uniform(0.2, 0.4))
            before = _count_lags(stack.tallykv)
            unprovoked += before - last
            with stack.tallykv.stopped():
                time.sleep(BLOCK_SECONDS)
            time.sleep(SETTLE_SECONDS)
            last = _count_lags(stack.tallykv)
            shown += last > before
    title = "blocks of 200 ms shown as a lag above 0.1 s"
    note = f"{shown} of {run.sizes.blocks} blocks; {unprovoked:.0f} lags without a block"
    yield Row(title, shown / run.sizes.blocks * 100, "%", limits.BLOCKS_SHOWN, note)


def _count_lags(service: Service) -> float:
    """Return how often the loop was late by more than 0.1 s."""
    found = scrape(service)
    return found.value(_ALL) - found.value(_BELOW)
