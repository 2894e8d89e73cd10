"""How soon a fresh service answers."""

from __future__ import annotations

import tempfile
import time
from typing import Final

from ..frame.processes import Cores
from ..frame.report import say
from ..testbed.servers import all_signals, running_collector, running_tallykv

STARTS: Final = 3


def measure_ready_seconds(cores: Cores) -> float:
    """Return the time from start to readiness on an empty embedded store, the best of three."""
    seconds = []
    with running_collector(cores) as collector:
        for _ in range(STARTS):
            with tempfile.TemporaryDirectory(prefix="bench-data-") as directory:
                signals = all_signals(collector)
                started = time.perf_counter()
                with running_tallykv("embedded:", cores, KV_DATA_DIR=directory, **signals):
                    seconds.append(time.perf_counter() - started)
            say(f"ready after {seconds[-1]:.2f} s")
    return min(seconds)
