"""The service under steady traffic, and samples of its resources."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final

from bench.consistency.checker import Verdict
from bench.consistency.client import Client
from bench.consistency.final_state import check_against_store
from bench.consistency.workload import Workload
from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.servers import PATIENT, Collector, Redis, Service

from . import limits
from .resource_samples import Sample, growth, take_sample

SAMPLE_SECONDS: Final = 2.0
#: Each round has clients, keys and counters of its own, and its history is checked at its end.
ROUND_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 60.0
LEAST_MINUTES: Final = 0.2
#: Short, so that the records of Redis stay constant too.
IDEMPOTENCY_SECONDS: Final = "30"


@dataclass(frozen=True)
class Sizes:
    #: Of sampling. The warm-up before it takes at most a third of that.
    minutes: float = 10.0


def parse_minutes(text: str) -> float:
    """Return the number; raise ValueError if it is not one, or less than LEAST_MINUTES."""
    minutes = float(text)
    if not minutes >= LEAST_MINUTES:
        raise ValueError(text)
    return minutes


@dataclass
class Soak:
    service: Service
    tasks_file: Path
    samples: list[Sample] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    async def run(self, minutes: float) -> None:
        seconds = minutes * 60
        warm_up = min(WARM_UP_SECONDS, seconds / 3)
        say(f"{warm_up:.0f} s of warm-up, then {seconds:.0f} s")
        await self._run_round("warm", warm_up)
        rounds = max(1, round(seconds / ROUND_SECONDS))
        sampling = asyncio.create_task(self._sample_forever())
        try:
            for number in range(rounds):
                await self._run_round(f"r{number}", seconds / rounds)
                say(f"round {number + 1} of {rounds}: {self.samples[-1]}")
        finally:
            sampling.cancel()
            await asyncio.wait({sampling})
        if not sampling.cancelled():
            sampling.result()

    async def _sample_forever(self) -> None:
        while True:
            sample = await asyncio.to_thread(take_sample, self.service, self.tasks_file)
            self.samples.append(sample)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _run_round(self, name: str, seconds: float) -> None:
        client = Client([self.service.port])
        workload = Workload(client, prefix=name)
        try:
            async with workload.running():
                await asyncio.sleep(seconds)
            verdict = await check_against_store(client, workload.history)
        finally:
            await client.close()
        for reason in verdict.reasons:
            say(reason)
        self.verdicts.append(verdict)

    def rows(self, minutes: float) -> Iterator[Row]:
        """Return the growth of each resource, and the violations of all rounds."""
        is_short = minutes < limits.SHORT_MINUTES
        resident_limit = limits.RESIDENT_MIB_IN_SHORT if is_short else limits.RESIDENT_MIB
        first, last = self.samples[0], self.samples[-1]
        for title, name, unit, limit in (
            ("resident memory, growth", "resident_mib", "MiB", resident_limit),
            ("descriptors, growth", "descriptors", "", limits.DESCRIPTORS),
            ("tasks, growth", "tasks", "", limits.TASKS),
            ("series, growth", "series", "", limits.SERIES),
        ):
            note = f"{getattr(first, name):.4g} to {getattr(last, name):.4g}"
            yield Row(title, growth(self.samples, attrgetter(name)), unit, limit, note)
        violations = sum(verdict.violations for verdict in self.verdicts)
        title = "lost, duplicated, unexpected or not linearizable"
        yield Row(title, violations, "", limits.VIOLATIONS)
        failed = sum(verdict.refused + verdict.unknown for verdict in self.verdicts)
        acknowledged = sum(verdict.acknowledged for verdict in self.verdicts)
        note = f"of {failed + acknowledged:,}"
        yield Row("failed requests", failed, "requests", None, note)


@contextmanager
def running_soak(directory: Path) -> Iterator[Soak]:
    """Run a service with all signals on that counts its tasks."""
    tasks_file = directory / "tasks"
    with running(Redis()) as redis, running(Collector()) as collector:
        settings = {
            **PATIENT,
            **collector.signals(),
            "KV_TRACES_PER_SECOND": "100",
            "KV_IDEMPOTENCY_TTL": IDEMPOTENCY_SECONDS,
        }
        service = Service(redis.url, settings)
        service.command = [sys.executable, "-m", "bench.soak.task_counter", str(tasks_file)]
        with running(service):
            yield Soak(service, tasks_file)


def measure_soak(run: Run[Sizes]) -> list[Row]:
    with running_soak(run.directory) as soak:
        asyncio.run(soak.run(run.sizes.minutes))
        return list(soak.rows(run.sizes.minutes))
