"""One operation on each server: CPU time in units of a bare hello, rate, latency and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.frame.noise import noise_of, noise_row
from bench.frame.processes import Server, running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import (
    Operation,
    hello_operations,
    peer_operations,
    tallykv_operations,
)
from bench.testbed.preload import preload_peers, preload_tallykv
from bench.testbed.servers import running_stack
from bench.testbed.wrk import Load

from . import limits
from .peers.commands import (
    BATCH_FLOOR,
    CONTRACT_FLOOR,
    FASTAPI,
    FLOOR,
    HELLO,
    SIGNALS_FLOOR,
    Peer,
    all_peers,
)
from .run_sizes import Sizes
from .subjects import Subject, range_of

#: Ours is compared with these, not they with ours.
FLOORS: Final = {FLOOR, SIGNALS_FLOOR, BATCH_FLOOR, CONTRACT_FLOOR}
#: Two of the other servers. Their ratio shows what no handler of ours can do better.
BOUNDS: Final = ((FASTAPI, SIGNALS_FLOOR), (CONTRACT_FLOOR, BATCH_FLOOR))


def measure_operation(name: str, run: Run[Sizes]) -> Iterator[Row]:
    """Measure the operation ``name`` on tallykv and on all peers that have it."""
    load = Load(run.directory, run.load_cores)
    with _running_subjects(name, run, load) as (hello, twin, subjects):
        for number in range(1, run.sizes.rounds + 1):
            say(f"round {number} of {run.sizes.rounds}")
            hello.rounds.append([])
            for subject in (twin, *subjects):
                subject.measure_round(load, hello, run.sizes.seconds)
                say(f"  {subject.title}: {subject.hellos_by_round()[-1]:.2f} hellos")
        for _ in range(run.sizes.rounds):
            for subject in subjects:
                subject.measure_latencies(hello, twin, run.sizes.latency_seconds)
                say(f"  {subject.title}: p99 {subject.latencies[-1].p99_ms:.2f} ms")
        noise = noise_of(twin.hellos_by_round())
        yield from (subject.cost_row(noise) for subject in (hello, *subjects))
        yield from _compare(name, subjects, noise)
        yield noise_row("hello, twice", twin.hellos_by_round())
        for subject in (hello, *subjects):
            yield from subject.further_rows()


def _compare(name: str, subjects: list[Subject], noise: float) -> Iterator[Row]:
    """Compare the costs with tallykv's, round by round, each in its own hellos."""
    ours, *others = subjects
    for other in others:
        pairs = zip(other.hellos_by_round(), ours.hellos_by_round(), strict=True)
        ratios = [theirs / own for theirs, own in pairs]
        peer_name, limit = other.server.name, None
        title = f"{peer_name} ÷ tallykv"
        if peer_name in FLOORS:
            title = f"tallykv ÷ {peer_name}"
            limit = limits.FLOOR_RATIO if peer_name == BATCH_FLOOR else None
            ratios = [1 / ratio for ratio in ratios]
        elif name == "get":
            limit = limits.TIMES_CHEAPER.get(peer_name)
        yield Row(title, median(ratios), "times", limit, f"rounds {range_of(ratios)}", noise)
    by_name = {each.server.name: each.hellos_by_round() for each in others}
    for more, less in BOUNDS:
        if more in by_name and less in by_name:
            ratios = [a / b for a, b in zip(by_name[more], by_name[less], strict=True)]
            note = f"a bound, rounds {range_of(ratios)}"
            yield Row(f"{more} ÷ {less}", median(ratios), "times", None, note, noise)


@contextlib.contextmanager
def _running_subjects(
    name: str, run: Run[Sizes], load: Load
) -> Iterator[tuple[Subject, Subject, list[Subject]]]:
    """Run hello, hello again, and all servers that have the operation, tallykv first.

    Idle ones cost the others nothing.
    """
    peers = all_peers(run.sizes.peer, run.sizes.peer_path)
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(running_stack(run.server_cores, run.load_cores))
        preload_tallykv(servers.tallykv.port)
        preload_peers(servers.redis.port)

        def subject(server: Server, operation: Operation) -> Subject:
            return Subject(server, operation, load.prepare(server, operation))

        def start(peer: Peer) -> Server:
            signals = servers.collector.signals()
            server = peer.server(servers.redis, run.server_cores, run.directory, signals)
            return stack.enter_context(running(server))

        hello, twin = (subject(start(HELLO), hello_operations()[0]) for _ in range(2))
        (ours,) = (each for each in tallykv_operations() if each.name == name)
        subjects = [subject(servers.tallykv, ours)]
        for peer in peers:
            for operation in peer_operations(peer.paths):
                if operation.name != name:
                    continue
                if missing := peer.missing():
                    say(f"{peer.name} is left out: {missing}")
                    continue
                subjects.append(subject(start(peer), operation))
        yield hello, twin, subjects
