"""CPU time of one operation on each server, in units of a bare hello of the same round."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.processes import Server, running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import (
    Operation,
    floor_operations,
    hello_operations,
    peer_operations,
    tallykv_operations,
    webdis_operations,
)
from bench.testbed.preload import preload_peers, preload_tallykv
from bench.testbed.servers import running_stack
from bench.testbed.wrk import Load

from . import limits
from .peers.commands import peer
from .run_sizes import Sizes

WARM_UP_SECONDS: Final = 1
#: The speed of the machine drifts, and a shared one stalls for tenths of a second. So a measurement
#: consists of slices, each compared with a slice of hello right before it, and medians are taken.
SLICE_SECONDS: Final = 1
PEERS: Final = {
    "floor": floor_operations(),
    **dict.fromkeys(("aiohttp", "FastAPI", "Flask"), peer_operations()),
    "webdis": webdis_operations(),
}


@dataclass(frozen=True)
class Slice:
    """CPU time of one of the API's operations and their rate, over one slice."""

    cpu_us: float
    per_second: float
    #: CPU time in units of the hello's, measured right before.
    hellos: float = 1.0


@dataclass(eq=False)
class Subject:
    """An operation on a running server, and its slices by round."""

    server: Server
    operation: Operation
    requests: Path
    rounds: list[list[Slice]] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.server.name}: {self.operation.title}"

    def hellos_by_round(self) -> list[float]:
        return [median(each.hellos for each in slices) for slices in self.rounds]

    def row(self) -> Row:
        hellos = self.hellos_by_round()
        cpu_us = median(median(each.cpu_us for each in slices) for slices in self.rounds)
        rate = median(median(each.per_second for each in slices) for slices in self.rounds)
        is_ours = self.server.name == "tallykv"
        return Row(
            self.title,
            median(hellos),
            "hellos",
            limits.HELLOS.get(self.operation.name) if is_ours else None,
            f"{cpu_us:.1f} µs, {rate:,.0f} a second, rounds {_range(hellos)}",
        )


def measure_operation(name: str, run: Run[Sizes]) -> Iterator[Row]:
    """Measure the operation ``name`` on tallykv and on all peers that have it."""
    load = Load(run.directory, run.load_cores)
    with _running_subjects(name, run, load) as (hello, subjects):
        for number in range(1, run.sizes.rounds + 1):
            say(f"round {number} of {run.sizes.rounds}")
            hello.rounds.append([])
            for subject in subjects:
                _measure_round(load, subject, hello, run.sizes.seconds)
                say(f"  {subject.title}: {subject.hellos_by_round()[-1]:.2f} hellos")
    yield from (subject.row() for subject in (hello, *subjects))
    if name == "get":
        yield from _compare(subjects)


def _compare(subjects: list[Subject]) -> Iterator[Row]:
    """Compare the cost of each peer with tallykv's, round by round, each in its own hellos."""
    ours, *others = subjects
    for other in others:
        pairs = zip(other.hellos_by_round(), ours.hellos_by_round(), strict=True)
        ratios = [theirs / own for theirs, own in pairs]
        limit = limits.TIMES_CHEAPER.get(other.server.name)
        title = f"{other.server.name} ÷ tallykv"
        yield Row(title, median(ratios), "times", limit, f"rounds {_range(ratios)}")


def _measure_round(load: Load, subject: Subject, hello: Subject, seconds: int) -> None:
    """Measure the operation for ``seconds``, in turns with hello."""
    load.run(subject.server, subject.requests, WARM_UP_SECONDS)
    slices: list[Slice] = []
    for _ in range(seconds // SLICE_SECONDS):
        before = subject.server.cpu_seconds()
        unit = _measure_slice(load, hello, hello.server.cpu_seconds())
        # Counted from before hello's slice: the server exports its spans later.
        found = _measure_slice(load, subject, before)
        hello.rounds[-1].append(unit)
        slices.append(Slice(found.cpu_us, found.per_second, found.cpu_us / unit.cpu_us))
    subject.rounds.append(slices)


def _measure_slice(load: Load, subject: Subject, cpu_before: float) -> Slice:
    answered = load.run(subject.server, subject.requests, SLICE_SECONDS)
    used = subject.server.cpu_seconds() - cpu_before
    operations = answered.requests * subject.operation.size
    return Slice(used / operations * 1e6, operations / answered.seconds)


@contextlib.contextmanager
def _running_subjects(
    name: str, run: Run[Sizes], load: Load
) -> Iterator[tuple[Subject, list[Subject]]]:
    """Run all servers that have the operation, tallykv first. Idle ones cost the others nothing."""
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(running_stack(run.server_cores, run.load_cores))
        preload_tallykv(servers.tallykv.port)
        preload_peers(servers.redis.port)

        def subject(server: Server, operation: Operation) -> Subject:
            return Subject(server, operation, load.prepare(server, operation))

        def start(peer_name: str) -> Server:
            server = peer(peer_name, servers.redis, run.server_cores, run.directory)
            return stack.enter_context(running(server))

        hello = subject(start("hello"), hello_operations()[0])
        subjects = [subject(servers.tallykv, _find(name, tallykv_operations()))]
        for peer_name, operations in PEERS.items():
            if not any(each.name == name for each in operations):
                continue
            if peer_name == "webdis" and not shutil.which("webdis"):
                say("webdis is not installed and is left out (Debian: apt-get install webdis)")
                continue
            subjects.append(subject(start(peer_name), _find(name, operations)))
        yield hello, subjects


def _find(name: str, operations: list[Operation]) -> Operation:
    return next(each for each in operations if each.name == name)


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"
