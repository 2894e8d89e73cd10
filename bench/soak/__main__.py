"""``python -m bench.soak``: steady traffic for minutes; 1 if anything grows or goes wrong."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.consistency.checker import Verdict, check
from bench.consistency.client import Client
from bench.consistency.linearizability import Undecided
from bench.consistency.settling import read_final
from bench.consistency.workload import Workload
from bench.frame.interrupts import Interrupted, unwind_on_signals
from bench.frame.processes import BenchError
from bench.frame.report import Row, render_table, say
from bench.testbed.restartable import Service, ending, running_redis
from bench.testbed.servers import all_signals, running_collector

from . import limits
from .options import Options, parse_options
from .sampling import Sample, growth, take_sample

SAMPLE_SECONDS: Final = 2.0
#: Each round has clients, keys and counters of its own, and is judged at its end.
ROUND_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 60.0
#: So that Redis, too, holds as much in the end as in the beginning.
IDEMPOTENCY_SECONDS: Final = "30"


@dataclass
class Soak:
    service: Service
    tasks_file: Path
    samples: list[Sample] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    async def run(self, options: Options) -> None:
        seconds = options.minutes * 60
        warm_up = min(WARM_UP_SECONDS, seconds / 3)
        say(f"soak: {warm_up:.0f} s to warm up, then {seconds:.0f} s")
        await self._round("warm", warm_up)
        rounds = max(1, round(seconds / ROUND_SECONDS))
        watching = asyncio.create_task(self._watch())
        try:
            for number in range(rounds):
                await self._round(f"r{number}", seconds / rounds)
                last = self.samples[-1]
                say(
                    f"soak: round {number + 1} of {rounds}: {last.resident_mib:.1f} MiB,"
                    f" {last.descriptors} files, {last.tasks} tasks, {last.series} series"
                )
        finally:
            watching.cancel()
            await asyncio.wait({watching})
        if not watching.cancelled():
            watching.result()

    async def _watch(self) -> None:
        while True:
            self.samples.append(await take_sample(self.service, self.tasks_file))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _round(self, name: str, seconds: float) -> None:
        client = Client([self.service.port])
        workload = Workload(client, prefix=name)
        try:
            async with workload.running():
                await asyncio.sleep(seconds)
            final = await read_final(client, workload.history)
        finally:
            await client.close()
        verdict = check(workload.history, final)
        for reason in verdict.reasons:
            say(f"soak: {reason}")
        self.verdicts.append(verdict)

    def rows(self, options: Options) -> list[Row]:
        first, last = self.samples[0], self.samples[-1]
        is_short = options.minutes < limits.SHORT_MINUTES
        resident = growth(self.samples, lambda s: s.resident_mib)
        wrong = sum(v.lost + v.duplicated + v.crossed + v.torn for v in self.verdicts)
        failed = sum(v.refused + v.unknown for v in self.verdicts)
        total = failed + sum(v.acknowledged for v in self.verdicts)
        return [
            Row(
                "resident memory: MiB grown",
                (f"{resident:.1f}", f"{first.resident_mib:.1f} to {last.resident_mib:.1f}"),
                resident,
                limits.RESIDENT_MIB_IN_SHORT if is_short else limits.RESIDENT_MIB,
            ),
            *(
                Row(f"{name}: grown", (f"{more:g}", f"{begin} to {end}"), more, limit)
                for name, more, begin, end, limit in (
                    (
                        "descriptors",
                        growth(self.samples, lambda s: s.descriptors),
                        *(first.descriptors, last.descriptors),
                        limits.DESCRIPTORS,
                    ),
                    (
                        "tasks",
                        growth(self.samples, lambda s: s.tasks),
                        *(first.tasks, last.tasks),
                        limits.TASKS,
                    ),
                    (
                        "series",
                        growth(self.samples, lambda s: s.series),
                        *(first.series, last.series),
                        limits.SERIES,
                    ),
                )
            ),
            Row("lost, doubled, crossed or torn", (f"{wrong}", ""), wrong, limits.NONE),
            Row("requests failed", (f"{failed}", f"of {total:,}"), failed),
        ]


@asynccontextmanager
async def running_inspected(directory: Path) -> AsyncIterator[Soak]:
    """Run a service with all its signals on, which counts its tasks."""
    tasks_file = directory / "tasks"
    cores = tuple(os.sched_getaffinity(0))
    async with running_redis(directory) as redis:
        with running_collector(cores) as collector:
            settings = {
                **all_signals(collector),
                "KV_TRACES_PER_SECOND": "100",
                "KV_IDEMPOTENCY_TTL": IDEMPOTENCY_SECONDS,
                # Another's load on this machine is no failure of the service.
                "KV_STORE_TIMEOUT_MS": "5000",
            }
            service = Service(directory, redis.url, **settings)
            service.command = [sys.executable, "-m", "bench.soak.task_counter", str(tasks_file)]
            with ending(service):
                await service.start()
                yield Soak(service, tasks_file)


async def _soak(options: Options, directory: Path) -> list[Row]:
    async with running_inspected(directory) as soak:
        await soak.run(options)
        return soak.rows(options)


def main() -> int:
    """Return 0, 1 when a limit is broken, 2 when it could not be measured."""
    options = parse_options()
    unwind_on_signals()
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as directory:
            rows = asyncio.run(_soak(options, Path(directory)))
    except (BenchError, Undecided, Interrupted, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    print(render_table(("soak", "found", "beside"), rows), flush=True)
    say(f"took {time.monotonic() - started:.0f} s")
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
