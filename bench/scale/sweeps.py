"""The scales beside the workers: keys in the store, bytes in a value, connections."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.frame.processes import Cores
from bench.frame.report import say
from bench.testbed import wrk
from bench.testbed.operations import Operation, tallykv_operations
from bench.testbed.preload import fill, preload_tallykv
from bench.testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_redis,
    running_tallykv,
)

from .asked import preload_sized, reads_among, reads_sized, shown_bytes, writes_among, writes_sized
from .options import Options
from .turns import Measured, Point, measure

#: Each store has so many times the keys of the one before.
KEYS: Final = (1000, 100_000, 1_000_000)
SIZES: Final = (100, 1024, 10_240, 102_400, 1_048_576)
CONNECTIONS: Final = (1, 10, 100, 1000)
#: Busy connections while values grow: with more, megabytes would wait behind megabytes.
SIZES_CONNECTIONS: Final = 8


def sweep_keys(load: wrk.Load, options: Options, server: Cores, aside: Cores) -> list[Measured]:
    """Measure reads and writes of values of 256 bytes all over stores of different sizes."""
    counts = [count for count in KEYS if count <= options.keys]
    with contextlib.ExitStack() as stack:
        stores = {}
        for count in counts:
            stores[count] = stack.enter_context(_service(server, aside))
            say(f"filling Redis with {count:,} entries")
            fill(stores[count][1].port, count)
        points = [
            _point(load, operation, f"{operation.title} keys", count, stores[count])
            for of in (reads_among, writes_among)
            for count in counts
            for operation in (of(count),)
        ]
        return measure(points, options.rounds, options.seconds)


def sweep_sizes(load: wrk.Load, options: Options, server: Cores, aside: Cores) -> list[Measured]:
    """Measure reads and writes of values of different sizes."""
    say(f"values of {shown_bytes(SIZES[0])} to {shown_bytes(SIZES[-1])}")
    with _service(server, aside) as store:
        for size in SIZES:
            preload_sized(store[0].port, size)
        points = [
            _point(load, operation, operation.title, size, store, SIZES_CONNECTIONS)
            for of in (reads_sized, writes_sized)
            for size in SIZES
            for operation in (of(size),)
        ]
        return measure(points, options.rounds, options.seconds)


def sweep_connections(
    load: wrk.Load, options: Options, server: Cores, aside: Cores
) -> list[Measured]:
    """Measure reads and steps of one counter over more and more busy connections."""
    say(f"{CONNECTIONS[0]} to {CONNECTIONS[-1]} connections")
    with _service(server, aside) as store:
        preload_tallykv(store[0].port)
        operations = [each for each in tallykv_operations() if each.name in {"get", "hot"}]
        points = [
            _point(load, operation, f"{operation.title}, {count:,} busy", count, store, count)
            for operation in operations
            for count in CONNECTIONS
        ]
        return measure(points, options.rounds, options.seconds)


@contextlib.contextmanager
def _service(server: Cores, aside: Cores) -> Iterator[tuple[Server, Server]]:
    """Run a service with all of its signals on, and a Redis of its own."""
    with (
        running_redis(aside) as redis,
        running_collector(aside) as collector,
        running_tallykv(
            f"redis://127.0.0.1:{redis.port}", server, **all_signals(collector)
        ) as tallykv,
    ):
        yield tallykv, redis


def _point(
    load: wrk.Load,
    operation: Operation,
    title: str,
    x: int,
    store: tuple[Server, Server],
    connections: int = wrk.CONNECTIONS,
) -> Point:
    tallykv, redis = store
    requests: Path = load.prepare(tallykv, operation)
    kind = operation.title.partition(",")[0]
    return Point(kind, title, x, tallykv, redis, load, requests, connections)
