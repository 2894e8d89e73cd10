"""Two workers beside one.

A machine with two cores has none to spare for the load and Redis. There the rate says how the cores
are shared, not what a worker can do. So requests are divided by the CPU time that the workers used;
times the number of cores, this is the rate that they would reach with the cores for themselves. One
worker shares one core with its load and its Redis, and two workers share two, so that sharing costs
both the same. The result is right as long as CPU time alone limits the workers. Other limits, such
as a lock or a busy Redis, show in the rate, which is compared where there are enough cores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import Stack, running_stack
from bench.testbed.wrk import CONNECTIONS, Load

from . import limits
from .points import Point, Sizes, measure_points

WORKERS: Final = 2
#: From this many cores on, the workers and the load share none.
ENOUGH_CORES: Final = 4
OPERATIONS: Final = ("get", "put", "hot")


def measure_workers(run: Run[Sizes]) -> Iterator[Row]:
    """Compare one worker on one core with two on two, with as many connections for each worker."""
    has_own_cores = len(run.cores) >= ENOUGH_CORES
    with contextlib.ExitStack() as stacks:
        services: dict[int, tuple[Stack, Load]] = {}
        for count in (1, WORKERS):
            cores = run.cores[:count]
            others = run.cores[WORKERS:] if has_own_cores else cores
            stack = stacks.enter_context(running_stack(cores, others, KV_WORKERS=str(count)))
            preload_tallykv(stack.tallykv.port)
            services[count] = stack, Load(run.directory, others)
        for operation in tallykv_operations():
            if operation.name not in OPERATIONS:
                continue
            say(f"one worker and {WORKERS}: {operation.title}")
            points = [
                Point(
                    operation.name,
                    f"{operation.title}, {count} working",
                    count,
                    stack,
                    load,
                    load.prepare(stack.tallykv, operation),
                    CONNECTIONS * count,
                )
                for count, (stack, load) in services.items()
            ]
            measure_points(points, run.sizes)
            yield from (point.row() for point in points)
            yield _ratio_row(operation.title, *points, has_own_cores=has_own_cores)


def _ratio_row(title: str, one: Point, two: Point, *, has_own_cores: bool) -> Row:
    by_cpu = [WORKERS / ratio for ratio in two.cpu_ratios(one)]
    as_seen = two.per_second / one.per_second
    smaller_share = median(turn.smaller_share for turn in two.turns)
    return Row(
        f"{title}, {WORKERS} ÷ 1",
        as_seen if has_own_cores else median(by_cpu),
        "times",
        limits.TWO_WORKERS,
        f"by {'rate' if has_own_cores else 'CPU time'}; rates {as_seen:.2f}, CPU time"
        f" {min(by_cpu):.2f} to {max(by_cpu):.2f}; the smaller share {smaller_share:.0%}",
    )
