"""The cores of this machine, and how busy other programs keep them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from .errors import BenchError

Cores = tuple[int, ...]

#: A machine that is busier than this makes ratios of CPU time inexact.
QUIET: Final = 0.05
_IDLE: Final = slice(3, 5)  # idle and iowait, of /proc/stat's columns
_ALL: Final = slice(0, 8)  # user to steal: the columns of guests are part of user


def available_cores() -> Cores:
    """Return the cores that this process may use, in ascending order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def leave_server_core(cores: Cores) -> None:
    """Move this process to the second core. The first one is for the server. Raise BenchError."""
    if len(cores) < 2:
        raise BenchError("two cores are needed: one for the server, one for the load and Redis")
    os.sched_setaffinity(0, cores[1:2])


def busy_ratio(cores: Cores, seconds: float) -> float:
    """Return which part of the next ``seconds`` the cores work."""
    before = _ticks(cores)
    time.sleep(seconds)
    after = _ticks(cores)
    idle, total = (b - a for a, b in zip(before, after, strict=True))
    return 1 - idle / total


def _ticks(cores: Cores) -> tuple[int, int]:
    """Return the idle ticks and all ticks of the cores since boot."""
    names = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    columns = [list(map(int, numbers)) for name, *numbers in lines if name in names]
    return sum(sum(each[_IDLE]) for each in columns), sum(sum(each[_ALL]) for each in columns)
