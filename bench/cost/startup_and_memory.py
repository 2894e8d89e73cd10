"""How soon a fresh service answers, and how much memory it holds after many requests."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Final

from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import mixed_operation
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Collector, Service, running_stack
from bench.testbed.wrk import Load

from . import limits
from .run_sizes import Sizes

STARTS: Final = 3


def measure_ready(run: Run[Sizes]) -> Iterator[Row]:
    """Measure the time from start to readiness on an empty embedded store."""
    cores = run.cores[:2]
    seconds = []
    with running(Collector(cores)) as collector:
        for _ in range(STARTS):
            with tempfile.TemporaryDirectory(dir=run.directory) as data:
                settings = {**PATIENT, **collector.signals(), "KV_DATA_DIR": data}
                started = time.perf_counter()
                with running(Service("embedded:", settings, cores)):
                    seconds.append(time.perf_counter() - started)
            say(f"ready after {seconds[-1]:.2f} s")
    title = f"ready on the embedded store, best of {STARTS}"
    yield Row(title, min(seconds), "s", limits.READY_SECONDS)


def measure_memory(run: Run[Sizes]) -> Iterator[Row]:
    """Measure the resident memory of a fresh service after many requests of all kinds."""
    load = Load(run.directory, run.load_cores)
    with running_stack(run.server_cores, run.load_cores) as stack:
        preload_tallykv(stack.tallykv.port)
        requests = load.prepare(stack.tallykv, mixed_operation())
        first = stack.tallykv.resident_mib()
        answered = 0
        while answered < run.sizes.requests:
            answered += load.run(stack.tallykv, requests, run.sizes.seconds).requests
            resident = stack.tallykv.resident_mib()
            say(f"{resident:.1f} MiB resident after {answered:,} requests")
    title = f"resident after {run.sizes.requests:,} requests"
    yield Row(title, resident, "MiB", limits.RESIDENT_MIB, f"{first:.1f} MiB before the first")
