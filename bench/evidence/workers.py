"""Simulations on all cores: a task has a seed of its own, so the result is always the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from typing import Generic, TypeVar

import numpy as np

from bench.frame.report import say

Found = TypeVar("Found")
#: At most so many rollouts in one task.
CHUNK = 50
_TELL_SECONDS = 5.0


class Cell(Generic[Found]):
    """Some rollouts of one kind: ``simulate`` draws one and returns what is found.

    ``simulate`` goes to other processes: a function of a module, or a dataclass with a call.
    """

    def __init__(
        self, title: str, rollouts: int, simulate: Callable[[np.random.Generator], Found]
    ) -> None:
        self.title, self.rollouts, self.simulate = title, rollouts, simulate


def run_cells(
    executor: Executor, seed: Sequence[int], cells: Sequence[Cell[Found]]
) -> list[list[Found]]:
    """Return what was found in each cell, in the order of its rollouts."""
    tasks = {}
    for number, cell in enumerate(cells):
        for first in range(0, cell.rollouts, CHUNK):
            count = min(CHUNK, cell.rollouts - first)
            entropy = (*seed, number, first)
            tasks[executor.submit(_run, cell.simulate, entropy, count)] = number, first
    found: list[dict[int, list[Found]]] = [{} for _ in cells]
    told = time.monotonic()
    for done, task in enumerate(as_completed(tasks), start=1):
        number, first = tasks[task]
        found[number][first] = task.result()
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"  {cells[number].title}: {done} of {len(tasks)} tasks done")
    return [[one for first in sorted(each) for one in each[first]] for each in found]


def _run(
    simulate: Callable[[np.random.Generator], Found], entropy: Sequence[int], count: int
) -> list[Found]:
    seeds = np.random.SeedSequence(entropy).spawn(count)
    return [simulate(np.random.default_rng(seed)) for seed in seeds]
