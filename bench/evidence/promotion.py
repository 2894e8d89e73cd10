"""What a promotion takes, and which releases are never promoted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.rows import Row, percentage
from rollout.evidence.counts import Counts, Window
from rollout.runner.decisions import Action

from . import limits
from .confidence import bound_row
from .drawn_traffic import DrawnTraffic, Release
from .plans import canary_plan
from .rollout_simulation import Outcome, simulate_rollout
from .scenarios import Scenario, Sizes, simulate_all


@dataclass(frozen=True)
class EqualReleases:
    """A canary and a stable with the same error ratio."""

    error_ratio: float

    def __call__(self, rng: np.random.Generator) -> Outcome:
        release = Release(self.error_ratio)
        traffic = DrawnTraffic(rng=rng, rps=50.0, stable=release, canary=release)
        return simulate_rollout(canary_plan(deadline_seconds=3600.0), traffic)


@dataclass(slots=True)
class FewRequests:
    """Traffic in which the canary receives this many requests in all."""

    left: int

    def window(self, since: float, share: float | None) -> Window:
        canary = 1 if share and self.left else 0
        self.left -= canary
        stable = Counts(5 * canary or 5 * (share == 0), 0, (0, 0, 0))
        return Window(since, since + 5.0, stable, Counts(canary, 0, (0, 0, 0)))


def simulate_promotion(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    scenarios = [
        Scenario(f"{ratio:.1%} errors", sizes.others, EqualReleases(ratio))
        for ratio in (0.02, 0.0, 0.001)
    ]
    bad, clean, good = simulate_all(executor, (sizes.seed, 7), scenarios)
    promoted = sum(outcome.promoted for outcome in bad)
    title = "2 % errors, twice the objective: promoted"
    yield bound_row(title, promoted, len(bad), limits.FALSE_PROMOTIONS_BOUND)
    for title, outcomes in (("no errors", clean), ("0.1 % errors, both", good)):
        promoted = sum(outcome.promoted for outcome in outcomes)
        yield percentage(f"{title}: promoted", promoted, len(outcomes), limits.CLEAN_PROMOTED)
        fewest = min(each.proven_by for each in outcomes if each.proven_by is not None)
        yield Row(
            f"{title}: fewest requests that proved it", fewest, "requests", limits.FEWEST_REQUESTS
        )
    for requests in (0, 5):
        outcome = simulate_rollout(canary_plan(), FewRequests(requests))
        inconclusive = outcome.action is Action.INCONCLUSIVE
        note = f"{outcome.action} after {outcome.seconds:.0f} s, {outcome.requests} requests"
        title = f"{requests} requests of the canary: inconclusive"
        yield Row(title, 100 * inconclusive, "%", limits.ALL, note)
