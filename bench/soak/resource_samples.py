"""Samples of the resources of a service, taken from outside, and their growth."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.frame.errors import BenchError
from bench.testbed.scrape import scrape
from bench.testbed.servers import Service


@dataclass(frozen=True, slots=True)
class Sample:
    resident_mib: float
    descriptors: int
    tasks: int
    series: int

    def __str__(self) -> str:
        return (
            f"{self.resident_mib:.1f} MiB, {self.descriptors} descriptors, {self.tasks} tasks,"
            f" {self.series} series"
        )


def take_sample(service: Service, tasks_file: Path) -> Sample:
    """Read /proc and /metrics; raise BenchError if the service does not count its tasks."""
    return Sample(
        resident_mib=service.resident_mib(),
        descriptors=len(list(Path(f"/proc/{service.pid}/fd").iterdir())),
        tasks=_count_tasks(service, tasks_file),
        series=len(scrape(service).samples),
    )


def _count_tasks(service: Service, file: Path) -> int:
    file.unlink(missing_ok=True)
    service.send_signal(signal.SIGUSR1)
    for _ in range(500):
        if file.exists():
            return int(file.read_text())
        time.sleep(0.01)
    raise BenchError("the service does not count its tasks")


def growth(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """Return the median of a value in the last third less its median in the first."""
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    return median(map(value, last)) - median(map(value, first))
