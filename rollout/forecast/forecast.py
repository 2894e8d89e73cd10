"""Simulates many rollouts of a plan for releases of several kinds, and sums them up."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..plan.model import Plan, plan_without_pauses
from ..runner.controller import Controller
from ..runner.decisions import Verdict
from .world import Release, World, canary_share

#: A step is too short if it finds fewer of the canaries that fail at CLEAR_ERRORS.
FOUND_RATIO: Final = 0.5
CLEAR_ERRORS: Final = 0.05
#: The kind by which steps are called too short.
CLEAR: Final = "fails 5 %"
GOOD: Final = "as good as the old release"
#: By how much more often a request is slow, in the kind of release that is slower.
_SLOWER: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one simulated rollout ended; times in seconds since its start.

    ``step`` is the index of the last step that gave the canary requests before the verdict.
    """

    verdict: Verdict
    seconds: float
    step: int
    canary_failures: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The outcomes for one kind of release."""

    kind: str
    outcomes: tuple[Outcome, ...]

    def ratio(self, verdict: Verdict) -> float:
        return sum(each.verdict is verdict for each in self.outcomes) / len(self.outcomes)

    @property
    def seconds(self) -> float:
        """Return the median time to the verdict."""
        return statistics.median(each.seconds for each in self.outcomes)

    @property
    def failures(self) -> tuple[float, float]:
        """Return the median of the canary's failed requests, and what 90 % stay within."""
        found = sorted(each.canary_failures for each in self.outcomes)
        return statistics.median(found), found[min(len(found) - 1, len(found) * 9 // 10)]

    def found_at(self, step: int) -> float | None:
        """Return which part of the rollouts that reached a step were rolled back there."""
        reached = [each for each in self.outcomes if each.step >= step]
        if not reached:
            return None
        found = Counter(each.step for each in reached if each.verdict is Verdict.ROLLED_BACK)
        return found[step] / len(reached)


def kinds_of_releases(plan: Plan, stable: Release) -> Mapping[str, Release]:
    """Return the canaries that a forecast simulates, beside a stable release."""
    allowed = plan.objective.error_ratio
    kinds = {
        GOOD: stable,
        f"fails {allowed * 80:.2g} %, the objective is {allowed * 100:.2g} %": Release(
            max(0.8 * allowed, stable.error_ratio), stable.slow_ratios
        ),
        CLEAR: Release(max(CLEAR_ERRORS, stable.error_ratio), stable.slow_ratios),
        "fails everything": Release(1.0, stable.slow_ratios),
    }
    if edges := plan.objective.slow_seconds:
        slower = tuple(ratio + _SLOWER * (1 - ratio) for ratio in stable.slow_ratios)
        kinds[f"5 % of its requests take over {edges[-1]:g} s"] = Release(
            stable.error_ratio, slower
        )
    return kinds


async def simulate(
    plan: Plan, rate: float, stable: Release, canary: Release, chance: random.Random
) -> Outcome:
    """Simulate one rollout with the real controller."""
    plan = plan_without_pauses(plan)
    world = World(plan, rate, stable, canary, chance)
    verdict = await Controller(plan, world.ports()).run()
    return Outcome(verdict, world.now, world.reached, world.canary.failures)


def short_steps(plan: Plan, forecasts: Sequence[Forecast]) -> Iterator[tuple[str, float]]:
    """Yield the steps that are too short, each with the part of clear harm that it finds.

    The last step is none: it lasts until a verdict.
    """
    [clear] = [each for each in forecasts if each.kind == CLEAR]
    for number, step in enumerate(plan.steps[:-1]):
        found = clear.found_at(number)
        if canary_share(plan, step) > 0 and found is not None and found < FOUND_RATIO:
            yield step.name, found
