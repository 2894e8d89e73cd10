"""CPU time per request with metrics, logs and traces on, beside the same with all of them off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from statistics import median

from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import (
    hello_operations,
    operation_without_store,
    tallykv_operations,
)
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Collector, Redis, Service
from bench.testbed.turns import Turns
from bench.testbed.wrk import Load

from . import limits
from .peers.commands import HELLO
from .run_sizes import Sizes


def measure_signals(run: Run[Sizes]) -> Iterator[Row]:
    """Measure what the signals add to a GET, and to a request without a store."""
    load = Load(run.directory, run.load_cores)
    get, without_store = tallykv_operations()[0], operation_without_store()
    found = {each: Turns(("on", "on, again")) for each in (get, without_store)}
    with (
        running(Redis(cores=run.load_cores)) as redis,
        running(Collector(run.load_cores)) as collector,
        running(HELLO.server(redis, run.server_cores, run.directory)) as hello,
    ):
        signals = {**PATIENT, **collector.signals()}
        settings = {"on": signals, "off": {**PATIENT, "KV_TELEMETRY": "off"}, "on, again": signals}
        unit = (hello, load.prepare(hello, hello_operations()[0]))
        for number in range(1, run.sizes.rounds + 1):
            with contextlib.ExitStack() as stack:
                services = {
                    kind: stack.enter_context(running(Service(redis.url, own, run.server_cores)))
                    for kind, own in settings.items()
                }
                if number == 1:
                    preload_tallykv(services["off"].port)
                for operation, turns in found.items():
                    requests = load.prepare(services["on"], operation)
                    subjects = {kind: (each, requests) for kind, each in services.items()}
                    turns.take(load, {**subjects, "hello": unit})
                    ratio = turns.ratios_by_round("on", "off")[-1]
                    say(f"round {number} of {run.sizes.rounds}: {operation.title}: {ratio:.3f}")
    yield from _rows(get.title, found[get], of_get=True)
    yield from _rows(without_store.title, found[without_store], of_get=False)


def _rows(title: str, turns: Turns, *, of_get: bool) -> Iterator[Row]:
    limit = limits.SIGNALS_RATIO if of_get else None
    yield turns.ratio_row(f"{title}: on ÷ off", "on", "off", limit)
    times = zip(*map(turns.cpu_us, ("on", "off", "hello")), strict=True)
    added = [(on - off, (on - off) / hello) for on, off, hello in times]
    limit = None if of_get else limits.SIGNALS_HELLOS
    note = f"{median(us for us, _ in added):.1f} µs"
    hellos = median(hellos for _, hellos in added)
    yield Row(f"{title}: added by signals", hellos, "added hellos", limit, note)
    yield turns.noise_row(f"{title}, on")
