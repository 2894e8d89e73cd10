"""Several workers beside one.

A machine with two cores has none to spare for the load and Redis. There the rate says how the cores
are shared, not what a worker can do. So requests are divided by the CPU time that the workers used;
times the number of cores, this is the rate that they would reach with the cores for themselves. One
worker shares one core with its load and its Redis, and N workers share N, so that sharing costs
both the same. The result is right as long as CPU time alone limits the workers. Other limits, such
as a lock or a busy Redis, show in the rate, which is compared where there are enough cores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.frame.errors import Unavailable
from bench.frame.noise import noise_row
from bench.frame.program import Run, say
from bench.frame.rows import Row, at_least
from bench.testbed.operations import tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import Stack, running_stack
from bench.testbed.wrk import CONNECTIONS, Load

from . import limits
from .points import Point, Sizes, measure_points

#: With so many cores for each worker, the workers and the load share none.
ENOUGH_CORES: Final = 2
OPERATIONS: Final = ("get", "put", "hot")


def measure_workers(run: Run[Sizes]) -> Iterator[Row]:
    """Compare one worker on one core with N on N, with as many connections for each worker."""
    workers = run.sizes.workers
    if not 2 <= workers <= len(run.cores):
        raise Unavailable(f"{len(run.cores)} cores are here; --workers must be 2 to as many")
    has_own_cores = len(run.cores) >= ENOUGH_CORES * workers
    with contextlib.ExitStack() as stacks:
        services: list[tuple[int, Stack, Load]] = []
        # The second worker that works alone shows the noise.
        for count in (1, workers, 1):
            cores = run.cores[:count]
            others = run.cores[workers:] if has_own_cores else cores
            stack = stacks.enter_context(running_stack(cores, others, KV_WORKERS=str(count)))
            preload_tallykv(stack.tallykv.port)
            services.append((count, stack, Load(run.directory, others)))
        for operation in tallykv_operations():
            if operation.name not in OPERATIONS:
                continue
            say(f"one worker and {workers}: {operation.title}")
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
                for count, stack, load in services
            ]
            measure_points(points, run.sizes)
            one, several, twin = points
            yield from (one.row(), several.row())
            noise = noise_row(
                f"{operation.title}, 1 working, twice", [median(twin.cpu_ratios(one))]
            )
            yield _ratio_row(operation.title, one, several, noise, has_own_cores=has_own_cores)
            yield noise


def _ratio_row(title: str, one: Point, several: Point, noise: Row, *, has_own_cores: bool) -> Row:
    by_cpu = [several.x / ratio for ratio in several.cpu_ratios(one)]
    as_seen = several.per_second / one.per_second
    smaller_share = median(turn.smaller_share for turn in several.turns)
    return Row(
        f"{title}, {several.x} ÷ 1",
        as_seen if has_own_cores else median(by_cpu),
        "times",
        at_least(limits.EACH_WORKER * several.x),
        f"by {'rate' if has_own_cores else 'CPU time'}; rates {as_seen:.2f}, CPU time"
        f" {min(by_cpu):.2f} to {max(by_cpu):.2f}; the smaller share {smaller_share:.0%}",
        noise.value / 100,
    )
