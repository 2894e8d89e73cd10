"""What watches cost: idle ones, a change that reaches all of them, and a GET without any."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.processes import running, running_all
from bench.frame.program import Run
from bench.frame.rows import Row
from bench.testbed.crowd import PATIENCE_SECONDS, Crowd, allow_open_files
from bench.testbed.http_client import exchange
from bench.testbed.operations import render_request, tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Redis, Service, execute
from bench.testbed.turns import Turns
from bench.testbed.wrk import Load

from . import sizes as limits
from .sizes import Sizes

#: Longer than the subscription outlives the last watcher.
LINGER_SECONDS: Final = 12.0
JSON: Final = {"Content-Type": "application/json"}
WATCHED: Final = (("one entry", "/v1/kv/a/b"), ("a prefix", "/v1/kv?prefix=a/&include=value"))


@contextlib.contextmanager
def _service(run: Run[Sizes]) -> Iterator[Service]:
    allow_open_files(run.sizes.watchers + 500)
    settings = {
        **PATIENT,
        "KV_MAX_WATCHERS": str(run.sizes.watchers),
        "KV_MAX_CONNECTIONS": str(run.sizes.watchers + 100),
    }
    with (
        running(Redis(cores=run.load_cores)) as server,
        running(Service(server.url, settings, run.server_cores)) as service,
    ):
        yield service


def idle(run: Run[Sizes]) -> Iterator[Row]:
    """Measure the CPU time of watchers to whom nothing is told."""
    with _service(run) as service:
        half = run.sizes.watchers // 2
        paths = ["/v1/kv/a"] * half + ["/v1/kv?prefix=a/"] * (run.sizes.watchers - half)
        with Crowd(service.port, paths):
            before = service.cpu_seconds()
            time.sleep(run.sizes.idle_seconds)
            used = service.cpu_seconds() - before
    percent = used / run.sizes.idle_seconds * 100
    note = f"{run.sizes.watchers:,} watchers, half of one entry, half of a prefix"
    yield Row("CPU of idle watchers", percent, "% of a core", limits.IDLE_PERCENT, note)


def fan_out(run: Run[Sizes]) -> Iterator[Row]:
    """Measure how long a change takes from its request until each watcher has it."""
    for what, path in WATCHED:
        with _service(run) as service, Crowd(service.port, [path] * run.sizes.watchers) as crowd:
            times: list[float] = []
            used = service.cpu_seconds()
            for number in range(run.sizes.changes):
                mark = f"change-{number}-of-many"
                request = render_request("PUT", "/v1/kv/a/b", f'"{mark}"'.encode(), JSON)
                began = time.perf_counter()
                status, _ = exchange(service.port, request)
                if status not in {200, 201}:
                    raise BenchError(f"a write was answered {status}")
                times += [when - began for when in crowd.wait_for(mark.encode())]
            used = service.cpu_seconds() - used
        times.sort()
        p99 = times[len(times) * 99 // 100] * 1e3
        cpu = used / run.sizes.changes * 1e3
        note = f"p50 {statistics.median(times) * 1e3:.1f} ms; CPU time of the service {cpu:.1f} ms"
        title = f"a change reaches {run.sizes.watchers:,} watchers of {what}, p99"
        yield Row(title, p99, "ms", limits.FAN_OUT_MS, note)


class Before(Service):
    """The service of another checkout."""

    def __init__(self, checkout: Path, store_url: str, cores: tuple[int, ...]) -> None:
        super().__init__(store_url, PATIENT, cores)
        self.name = "before"
        self.command = ["env", "-C", str(checkout), *self.command]


def unwatched(run: Run[Sizes]) -> Iterator[Row]:
    """Compare GETs with the code before; look that Redis tracks nothing once nobody watches."""
    with running(Redis(cores=run.load_cores)) as server:
        with running(Service(server.url, PATIENT, run.server_cores)) as service:
            with Crowd(service.port, ["/v1/kv/a"]):
                pass
            end = time.monotonic() + PATIENCE_SECONDS
            while _tracking(server) and time.monotonic() < end:
                time.sleep(0.1)
            note = f"{LINGER_SECONDS:.0f} s after the last watcher left"
            yield Row("connections that Redis tracks", _tracking(server), "", limits.TRACKING, note)
        if run.sizes.before:
            yield from _compare(run, server)


def _tracking(server: Redis) -> int:
    return int(execute(server.port, "INFO", "clients")["tracking_clients"])


def _compare(run: Run[Sizes], server: Redis) -> Iterator[Row]:
    load = Load(run.directory, run.load_cores)
    operation = tallykv_operations()[0]
    turns = Turns(("now", "now, again"))
    for number in range(run.sizes.rounds):
        services = {
            "now": Service(server.url, PATIENT, run.server_cores),
            "before": Before(Path(run.sizes.before), server.url, run.server_cores),
            "now, again": Service(server.url, PATIENT, run.server_cores),
        }
        with running_all(list(services.values())):
            if number == 0:
                preload_tallykv(services["now"].port)
            turns.take(
                load,
                {name: (each, load.prepare(each, operation)) for name, each in services.items()},
            )
    title = "CPU of a GET, beside before"
    yield turns.ratio_row(title, "now", "before", limits.UNWATCHED_RATIO)
    yield turns.noise_row("CPU of a GET, now")
