"""What a service holds at a moment, and how much more that became."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.frame.processes import BenchError
from bench.testbed.restartable import Service, fetch


@dataclass(frozen=True, slots=True)
class Sample:
    resident_mib: float
    descriptors: int
    tasks: int
    series: int


async def take_sample(service: Service, tasks_file: Path) -> Sample:
    """Look at the process from outside; raises BenchError when it does not count its tasks."""
    exposition = (await fetch(service.admin_port, "/metrics")).decode()
    series = sum(not line.startswith("#") for line in exposition.splitlines() if line)
    process = Path(f"/proc/{service.pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return Sample(
        resident_mib=int(status["VmRSS"].split()[0]) / 1024,
        descriptors=len(list((process / "fd").iterdir())),
        tasks=await _count_tasks(service, tasks_file),
        series=series,
    )


async def _count_tasks(service: Service, file: Path) -> int:
    _read_once(file)
    service.signal(signal.SIGUSR1)
    for _ in range(500):
        text = _read_once(file)
        if text is not None:
            return int(text)
        await asyncio.sleep(0.01)
    raise BenchError("the service does not count its tasks")


def _read_once(file: Path) -> str | None:
    """Return what the file says, and remove it; None when there is none."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    file.unlink()
    return text


def growth(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """Return the median of the last third less that of the first."""
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    return median(map(value, last)) - median(map(value, first))
