"""A blocked event loop shows in the next scrape.

The process is stopped from outside for 200 ms: to its loop that is as any code that blocks it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Final

from bench.frame.limits import at_least
from bench.frame.processes import Cores
from bench.frame.report import Row, say
from bench.testbed.servers import Server

from .exposition import scrape
from .options import Options
from .rows import row
from .services import running_observed

BLOCK_SECONDS: Final = 0.2
#: Afterwards the loop observes what it missed within a turn or two.
SETTLE_SECONDS: Final = 0.1
_BELOW: Final = 'kv_event_loop_lag_seconds_bucket{le="0.1"}'
_ALL: Final = "kv_event_loop_lag_seconds_count"


def measure_loop_blocks(options: Options, server: Cores, aside: Cores) -> list[Row]:
    say(f"loop block: stopping the service {options.blocks} times for {BLOCK_SECONDS * 1e3:.0f} ms")
    draw = random.Random()
    shown, unprovoked = 0, 0.0
    with running_observed(server, aside) as observed:
        service = observed.service
        last = _late(service)
        for _ in range(options.blocks):
            # At a random phase of the timer that watches the loop.
            time.sleep(draw.uniform(0.2, 0.4))
            before = _late(service)
            unprovoked += before - last
            _block(service)
            time.sleep(SETTLE_SECONDS)
            last = _late(service)
            shown += last > before
    return [
        row(
            f"loop block: seen above 0.1 s, of {options.blocks} blocks of 200 ms",
            shown,
            at_least(options.blocks),
            beside=f"{unprovoked:.0f} unprovoked",
        )
    ]


def _block(service: Server) -> None:
    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        time.sleep(BLOCK_SECONDS)
    finally:
        os.kill(service.process.pid, signal.SIGCONT)


def _late(service: Server) -> float:
    """Return how often the loop was late by more than 0.1 s."""
    found = scrape(service)
    return found.value(_ALL) - found.value(_BELOW)
