"""Scenarios, simulated on all cores. Each task has a seed of its own, so results are repeatable."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from typing import Final

import numpy as np

from bench.frame.program import Run, say
from bench.frame.rows import Limit, Row
from rollout.plan.model import Plan

from .latencies import Latency
from .peers import PEERS
from .peers.readings import BUCKETS
from .plans import HELD_BACK, canary_plan, with_baseline
from .rollouts import Outcome, run_rollout
from .saved import saved_outcomes
from .world import Effect, Shape, World

#: The plan, the shape and the service times of a world, unless its row says otherwise.
DEFAULT_PLAN: Final = canary_plan(HELD_BACK)
DEFAULT_SHAPE: Final = Shape()
DEFAULT_LATENCY: Final = Latency()
#: At most this many rollouts in one task.
CHUNK: Final = 10
PROGRESS_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Sizes:
    """How much is simulated. The defaults are the full measurement."""

    seed: int = 20220815
    #: Rollouts of each world.
    rollouts: int = 400
    #: Rollouts of each world by each of the peers.
    peers: int = 100
    #: Whether each world must keep the limits of a full measurement, or only gross ones.
    is_full: bool = True

    #: Only worlds with this text in their title, of good, lost and failing releases.
    world: str = ""

    def chosen(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        return [each for each in scenarios if self.world in each.title]

    def limit(self, full: Limit, gross: Limit) -> Limit:
        return full if self.is_full else gross


@dataclass(frozen=True)
class Scenario:
    """A kind of world, a plan, and who judges: our controller, or one of the peers.

    ``effects`` come after the service times. ``part`` is that of all rollouts which are simulated.
    It is sent to other processes.
    """

    title: str
    effects: tuple[Callable[[World], Effect], ...] = ()
    shape: Shape = DEFAULT_SHAPE
    plan: Plan = DEFAULT_PLAN
    latency: Latency = DEFAULT_LATENCY
    part: float = 1.0
    peer: str = ""

    def world(self, rng: np.random.Generator) -> World:
        edges = BUCKETS if self.peer else self.plan.objective.slow_seconds
        return World(rng, self.shape, (self.latency, *self.effects), edges)

    def __call__(self, rng: np.random.Generator) -> Outcome:
        if self.peer:
            return PEERS[self.peer](self.world(rng), self.plan)
        plan = with_baseline(self.plan) if self.shape.has_baseline else self.plan
        return run_rollout(plan, self.world(rng))

    def judged_by(self, peer: str) -> Scenario:
        return replace(self, peer=peer)


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
    executor: Executor, sizes: Sizes, scenarios: Sequence[Scenario]
) -> list[list[Outcome]]:
    """Return the outcomes of each scenario, in the order of its rollouts.

    A full measurement saves them, and takes those that were saved.
    """
    tasks = {}
    found: list[dict[int, list[Outcome]]] = [{} for _ in scenarios]
    for number, scenario in enumerate(scenarios):
        rollouts = round((sizes.peers if scenario.peer else sizes.rollouts) * scenario.part)
        for first in range(0, max(1, rollouts), CHUNK):
            count = max(1, min(CHUNK, rollouts - first))
            # By its title, so that a scenario draws the same with and without the others.
            entropy = (sizes.seed, zlib.crc32(scenario.title.encode()), first)
            saved = (
                saved_outcomes().load(scenario.title, scenario.peer, entropy, count)
                if sizes.is_full
                else []
            )
            if saved:
                found[number][first] = saved
            else:
                tasks[executor.submit(_run, scenario, entropy, count)] = number, first, entropy
    reported = time.monotonic()
    for done, task in enumerate(as_completed(tasks), start=1):
        number, first, entropy = tasks[task]
        scenario, outcomes = scenarios[number], task.result()
        found[number][first] = outcomes
        if sizes.is_full:
            saved_outcomes().save(scenario.title, scenario.peer, entropy, outcomes)
        if time.monotonic() - reported > PROGRESS_SECONDS:
            reported = time.monotonic()
            say(f"  {scenario.title}: {done} of {len(tasks)} tasks done")
    return [[one for first in sorted(each) for one in each[first]] for each in found]


def _run(scenario: Scenario, entropy: Sequence[int], count: int) -> list[Outcome]:
    seeds = np.random.SeedSequence(entropy).spawn(count)
    return [scenario(np.random.default_rng(seed)) for seed in seeds]
