"""Scenarios, simulated on all cores. Each task has a seed of its own, so results are repeatable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from typing import Final, Generic, TypeVar

import numpy as np

from bench.frame.program import Run, say
from bench.frame.rows import Row

Found = TypeVar("Found")
#: At most this many rollouts in one task.
CHUNK: Final = 50
PROGRESS_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Sizes:
    """How much is simulated. The defaults are the full measurement."""

    seed: int = 20220815
    #: Rollouts of each scenario of good releases, and the longest of them.
    good_releases: int = 2_000
    good_release_seconds: float = 3600.0
    #: Whether the limits hold for each scenario, or only for all of them together.
    limits_each_scenario: bool = True
    #: Rollouts of every other scenario.
    others: int = 600
    outages: int = 200


@dataclass(frozen=True)
class Scenario(Generic[Found]):
    """Some rollouts of one kind. ``simulate`` draws one and returns what is found.

    ``simulate`` is sent to other processes: a function of a module, or a dataclass with __call__.
    """

    title: str
    rollouts: int
    simulate: Callable[[np.random.Generator], Found]


def in_pool(simulate: Callable[[Sizes, Executor], Iterator[Row]], run: Run[Sizes]) -> Iterator[Row]:
    """Simulate with a process for each core."""
    # Spawned processes inherit no open file and no thread of this one.
    pool = ProcessPoolExecutor(len(run.cores), mp_context=get_context("spawn"))
    try:
        yield from simulate(run.sizes, pool)
    except BaseException:
        # A task takes seconds, and its result is not needed.
        for worker in active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def simulate_all(
    executor: Executor, seed: Sequence[int], scenarios: Sequence[Scenario[Found]]
) -> list[list[Found]]:
    """Return what was found in each scenario, in the order of its rollouts."""
    tasks = {}
    for number, scenario in enumerate(scenarios):
        for first in range(0, scenario.rollouts, CHUNK):
            count = min(CHUNK, scenario.rollouts - first)
            entropy = (*seed, number, first)
            tasks[executor.submit(_run, scenario.simulate, entropy, count)] = number, first
    found: list[dict[int, list[Found]]] = [{} for _ in scenarios]
    reported = time.monotonic()
    for done, task in enumerate(as_completed(tasks), start=1):
        number, first = tasks[task]
        found[number][first] = task.result()
        if time.monotonic() - reported > PROGRESS_SECONDS:
            reported = time.monotonic()
            say(f"  {scenarios[number].title}: {done} of {len(tasks)} tasks done")
    return [[one for first in sorted(each) for one in each[first]] for each in found]


def _run(
    simulate: Callable[[np.random.Generator], Found], entropy: Sequence[int], count: int
) -> list[Found]:
    seeds = np.random.SeedSequence(entropy).spawn(count)
    return [simulate(np.random.default_rng(seed)) for seed in seeds]
