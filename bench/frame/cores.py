"""The machine under the bench: its cores, and who else uses them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from .processes import BenchError, Cores

#: Busier than this with other things, and the ratios are worth a warning.
QUIET: Final = 0.05
_IDLE: Final = slice(3, 5)  # idle and iowait, of /proc/stat's columns
_ALL: Final = slice(0, 8)  # user to steal: the guests' columns are in user already


def available_cores() -> tuple[int, int]:
    """Return the core for servers and the one for load and Redis; raise BenchError."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the bench needs two cores: one for the server, one for wrk and Redis")
    return cores[0], cores[1]


def busy_ratio(cores: Cores, seconds: float = 1.0) -> float:
    """Watch the cores for that long and return the part of it that they worked."""
    before = _ticks(cores)
    time.sleep(seconds)
    after = _ticks(cores)
    idle, total = (b - a for a, b in zip(before, after, strict=True))
    return 1 - idle / total


def _ticks(cores: Cores) -> tuple[int, int]:
    names = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    columns = [list(map(int, numbers)) for name, *numbers in lines if name in names]
    idle = sum(sum(each[_IDLE]) for each in columns)
    return idle, sum(sum(each[_ALL]) for each in columns)
