"""Three scales: keys in the store, bytes in a value, busy connections."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.http_client import exchange
from bench.testbed.operations import OCTETS, Operation, render_request, tallykv_operations
from bench.testbed.preload import FILLED_BODY, fill_redis, preload_tallykv
from bench.testbed.servers import Stack, running_stack
from bench.testbed.wrk import CONNECTIONS as DEFAULT_CONNECTIONS
from bench.testbed.wrk import Load

from . import limits
from .points import Point, Sizes, growth_rows, measure_points

KEYS: Final = (1000, 100_000, 1_000_000)
#: The keys of a large store that are requested: more than fit the cache of any core.
MOST_REQUESTED_KEYS: Final = 100_000
SIZES: Final = (100, 1024, 10_240, 102_400, 1_048_576)
#: All values of one size together.
MOST_BYTES: Final = 32 * 1_048_576
MOST_VALUES: Final = 1000
#: With more connections, large values would wait behind each other.
SIZES_CONNECTIONS: Final = 8
CONNECTIONS: Final = (1, 10, 100, 1000)


def sweep_keys(run: Run[Sizes]) -> list[Row]:
    """Measure reads and writes of values of 256 bytes in stores of different sizes."""
    load = Load(run.directory, run.load_cores)
    counts = [count for count in KEYS if count <= run.sizes.keys]
    with contextlib.ExitStack() as stacks:
        stores: dict[int, Stack] = {}
        for count in counts:
            stores[count] = stacks.enter_context(running_stack(run.server_cores, run.load_cores))
            say(f"filling Redis with {count:,} entries")
            fill_redis(stores[count].redis.port, count)
        points = [
            _point(load, _among(method, count), count, stores[count])
            for method in ("GET", "PUT")
            for count in counts
        ]
        measure_points(points, run.sizes)
    return growth_rows(points, limits.MORE_KEYS)


def sweep_sizes(run: Run[Sizes]) -> list[Row]:
    """Measure reads and writes of values of different sizes."""
    load = Load(run.directory, run.load_cores)
    with running_stack(run.server_cores, run.load_cores) as stack:
        for size in SIZES:
            for request in _sized("PUT", size).requests:
                status, body = exchange(stack.tallykv.port, request)
                if status != 201:
                    raise BenchError(f"tallykv refused a value: {body[:300]!r}")
        points = [
            _point(load, _sized(method, size), size, stack, SIZES_CONNECTIONS)
            for method in ("GET", "PUT")
            for size in SIZES
        ]
        measure_points(points, run.sizes)
    return growth_rows(points, limits.LARGER_VALUES)


def sweep_connections(run: Run[Sizes]) -> list[Row]:
    """Measure reads, and increments of one counter, over more and more busy connections."""
    load = Load(run.directory, run.load_cores)
    with running_stack(run.server_cores, run.load_cores) as stack:
        preload_tallykv(stack.tallykv.port)
        points = [
            _point(load, operation, count, stack, count, f", {count:,} connections")
            for operation in tallykv_operations()
            if operation.name in {"get", "hot"}
            for count in CONNECTIONS
        ]
        measure_points(points, run.sizes)
    return growth_rows(points, limits.MORE_CONNECTIONS)


def _point(
    load: Load,
    operation: Operation,
    x: int,
    stack: Stack,
    connections: int = DEFAULT_CONNECTIONS,
    suffix: str = "",
) -> Point:
    kind = operation.title.partition(",")[0]
    requests = load.prepare(stack.tallykv, operation)
    return Point(kind, f"{operation.title}{suffix}", x, stack, load, requests, connections)


def _among(method: str, entries: int) -> Operation:
    """Return requests for random entries of a store that ``fill_redis`` has filled."""
    chosen = random.Random(entries).sample(range(entries), min(entries, MOST_REQUESTED_KEYS))
    paths = [f"/v1/kv/entry-{i:07}" for i in chosen]
    return _operation(method, f"of-{entries}", f"of {entries:,} keys", paths, FILLED_BODY)


def _sized(method: str, size: int) -> Operation:
    """Return requests for values of this size."""
    value = bytes(random.Random(size).choices(b"abcdefghijklmnopqrstuvwxyz", k=size))
    paths = [f"/v1/kv/sized-{size}-{i}" for i in range(min(MOST_VALUES, MOST_BYTES // size))]
    return _operation(method, f"{size}", _render_bytes(size), paths, value)


def _operation(method: str, name: str, title: str, paths: Sequence[str], value: bytes) -> Operation:
    if method == "GET":
        requests = tuple(render_request("GET", path) for path in paths)
        return Operation(f"get-{name}", f"GET, {title}", requests, value.__eq__)
    requests = tuple(render_request("PUT", path, value, OCTETS) for path in paths)
    return Operation(f"put-{name}", f"PUT, {title}", requests, lambda _: True)


def _render_bytes(size: int) -> str:
    for unit, name in ((1_048_576, "MiB"), (1024, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
