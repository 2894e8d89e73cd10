"""CPU time per request of each server, beside a bare hello measured in the same round."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Final

from ..frame.cores import busy_ratio
from ..frame.processes import Cores
from ..frame.report import say
from ..testbed.operations import (
    Operation,
    floor_operations,
    hello_operations,
    peer_operations,
    tallykv_operations,
    webdis_operations,
)
from ..testbed.preload import preload_peers, preload_tallykv
from ..testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_peer,
    running_redis,
    running_tallykv,
)
from ..testbed.wrk import Load
from .options import Options

WARM_UP_SECONDS: Final = 1
#: The machine's pace drifts, and a shared one stalls for tenths of a second: so a window is cut
#: into slices, each compared with a slice of hello right before it, and medians are taken.
SLICE_SECONDS: Final = 1


@dataclass(frozen=True)
class Slice:
    """What a moment of load showed, for one of the API's operations."""

    cpu_us: float
    per_second: float


@dataclass(frozen=True)
class Window:
    """The medians of one operation's slices in one round."""

    cpu_us: float
    per_second: float
    #: CPU time in units of the hello's beside it.
    hellos: float


@dataclass(frozen=True)
class Cost:
    """One operation on one server, round by round."""

    server: str
    operation: str
    title: str
    windows: tuple[Window, ...]

    @property
    def cpu_us(self) -> float:
        return median(window.cpu_us for window in self.windows)

    @property
    def per_second(self) -> float:
        return median(window.per_second for window in self.windows)

    @property
    def hellos(self) -> float:
        return median(window.hellos for window in self.windows)


@dataclass(frozen=True, eq=False)
class Subject:
    """An operation ready to be sent to a server that runs."""

    server: Server
    operation: Operation
    requests: Path

    @property
    def title(self) -> str:
        return f"{self.server.name}: {self.operation.title}"


def measure_costs(
    load: Load, options: Options, server: Cores, aside: Cores, directory: Path
) -> tuple[list[Cost], float]:
    """Measure on ``server``'s core, wrk and Redis on ``aside``; the first cost is hello's.

    Returned beside the costs: how busy others kept the two cores meanwhile.
    """
    others: list[float] = []
    windows: dict[Subject, list[Window]] = {}
    with _subjects(load, options, server, aside, directory) as (hello, subjects):
        for number in range(1, options.rounds + 1):
            others.append(busy_ratio((*server, *aside)))
            say(f"round {number} of {options.rounds}; the machine is {others[-1]:.0%} busy before")
            beside: list[Slice] = []
            for subject in subjects:
                window = _window(load, subject, hello, beside, options.seconds)
                windows.setdefault(subject, []).append(window)
            windows.setdefault(hello, []).append(_medians(beside, [1.0]))
    costs = [
        Cost(subject.server.name, subject.operation.name, subject.operation.title, tuple(each))
        for subject in (hello, *subjects)
        for each in (windows[subject],)
    ]
    return costs, mean(others)


def _window(
    load: Load, subject: Subject, hello: Subject, beside: list[Slice], seconds: int
) -> Window:
    """Measure the operation for that long, and hello for as long, in turns."""
    load.run(subject.server, subject.requests, WARM_UP_SECONDS)
    slices: list[Slice] = []
    ratios: list[float] = []
    for _ in range(seconds // SLICE_SECONDS):
        before = subject.server.process.cpu_seconds()
        beside.append(_slice(load, hello, hello.server.process.cpu_seconds()))
        # What it did while the other was asked counts as well: it exports its spans later.
        slices.append(_slice(load, subject, before))
        ratios.append(slices[-1].cpu_us / beside[-1].cpu_us)
    window = _medians(slices, ratios)
    say(f"  {subject.title}: {window.cpu_us:.1f} µs, {window.hellos:.2f} hellos")
    return window


def _slice(load: Load, subject: Subject, before: float) -> Slice:
    """Ask for a moment; its CPU time is counted from ``before`` on."""
    answered = load.run(subject.server, subject.requests, SLICE_SECONDS)
    used = subject.server.process.cpu_seconds() - before
    operations = answered.requests * subject.operation.size
    return Slice(used / operations * 1e6, operations / answered.seconds)


def _medians(slices: list[Slice], ratios: list[float]) -> Window:
    return Window(
        median(each.cpu_us for each in slices),
        median(each.per_second for each in slices),
        median(ratios),
    )


@contextlib.contextmanager
def _subjects(
    load: Load, options: Options, core: Cores, aside: Cores, directory: Path
) -> Iterator[tuple[Subject, list[Subject]]]:
    """Run every server, on data of its own in one Redis; idle ones cost the others nothing."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(aside))
        # With all of its signals on, as it runs in earnest.
        collector = stack.enter_context(running_collector(aside))
        url, signals = f"redis://127.0.0.1:{redis.port}", all_signals(collector)
        tallykv = stack.enter_context(running_tallykv(url, core, **signals))
        preload_tallykv(tallykv.port)
        preload_peers(redis.port)
        plans = {"hello": hello_operations()}
        plans["floor"] = floor_operations()
        plans |= {name: peer_operations() for name in ("aiohttp", "FastAPI", "Flask")}
        if shutil.which("webdis"):
            plans["webdis"] = webdis_operations()
        else:
            say("webdis is not installed and is left out (Debian: apt-get install webdis)")
        pairs = [(tallykv, operation) for operation in tallykv_operations()]
        for name, operations in plans.items():
            peer = stack.enter_context(running_peer(name, redis.port, core, directory))
            pairs += [(peer, operation) for operation in operations]
        subjects = [
            Subject(server, operation, load.prepare(server, operation))
            for server, operation in pairs
            if operation.name in {"hello", *options.only}
        ]
        hello = next(subject for subject in subjects if subject.server.name == "hello")
        subjects.remove(hello)
        yield hello, subjects
