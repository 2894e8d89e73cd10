"""A/A rollouts: the canary is as good as stable. How often is it rolled back?"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.rows import Row, percentage
from rollout.evidence.objective import Objective
from rollout.runner.decisions import Reason

from . import limits
from .confidence import bound_row
from .drawn_traffic import DrawnTraffic, Release, drifting_share, swinging_errors
from .plans import canary_plan
from .rollout_simulation import Outcome, full_share_only, simulate_rollout
from .scenarios import Scenario, Sizes, simulate_all

#: The largest factor by which error ratios swing.
SWING = 2.0
RATIOS = (0.001, 0.005, 0.01, 0.05)
RATES = (2, 10, 50)

#: From the first step with a canary to the end of the last one with both, by default.
COMPARED_SECONDS = (60.0, 350.0)
OUTAGE_SECONDS = 10.0


@dataclass(frozen=True)
class GoodRelease:
    """Equal releases with heavy tails. Error ratios swing, and the share drifts to three times."""

    error_ratio: float
    rps: float
    deadline_seconds: float
    swing: float = SWING

    def __call__(self, rng: np.random.Generator) -> Outcome:
        release = Release(self.error_ratio)
        traffic = DrawnTraffic(
            rng=rng,
            rps=self.rps,
            stable=release,
            canary=release,
            error_factor=swinging_errors(rng, self.swing),
            share_factor=drifting_share(rng),
        )
        plan = canary_plan(deadline_seconds=self.deadline_seconds)
        # With the desired share, the rollout would hold at once because of the mismatch.
        return simulate_rollout(plan, traffic, usable_share=full_share_only)


def shared_outage(rng: np.random.Generator) -> Outcome:
    """Let all requests of both releases fail for ten seconds, while both receive requests."""
    since = rng.uniform(COMPARED_SECONDS[0], COMPARED_SECONDS[1] - OUTAGE_SECONDS)
    release = Release(0.001)
    traffic = DrawnTraffic(
        rng=rng, rps=50, stable=release, canary=release, outage=(since, since + OUTAGE_SECONDS)
    )
    return simulate_rollout(canary_plan(), traffic)


def simulate_innocent(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    scenarios = [
        Scenario(
            f"{ratio:.1%} errors, {rps} rps",
            sizes.good_releases,
            GoodRelease(ratio, rps, sizes.good_release_seconds, _swing(ratio)),
        )
        for ratio in RATIOS
        for rps in RATES
    ]
    found = simulate_all(executor, (sizes.seed, 1), scenarios)
    rolled_back = [sum(outcome.rolled_back for outcome in outcomes) for outcomes in found]
    if sizes.limits_each_scenario:
        for scenario, wrong in zip(scenarios, rolled_back, strict=True):
            title = f"{scenario.title}: rolled back"
            yield percentage(title, wrong, scenario.rollouts, limits.FALSE_ROLLBACKS)
            yield bound_row(title, wrong, scenario.rollouts, limits.FALSE_ROLLBACKS_BOUND)
    title = "all scenarios: rolled back"
    total = sizes.good_releases * len(scenarios)
    yield percentage(title, sum(rolled_back), total, limits.FALSE_ROLLBACKS)
    yield bound_row(title, sum(rolled_back), total, limits.FALSE_ROLLBACKS_BOUND)
    yield from _simulate_missed_objective(sizes, executor)


def simulate_outage(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    scenario = Scenario("outage of both for 10 s", sizes.outages, shared_outage)
    (outcomes,) = simulate_all(executor, (sizes.seed, 8), [scenario])
    rolled_back = sum(outcome.rolled_back for outcome in outcomes)
    yield percentage(f"{scenario.title}: rolled back", rolled_back, len(outcomes), limits.NONE)


def _swing(error_ratio: float) -> float:
    """Return how far a ratio may swing: one below the objective never exceeds it.

    A ratio above the objective is never proven, so its canary is never without stable beside it.
    """
    objective = Objective().error_ratio
    return min(SWING, objective / error_ratio) if error_ratio <= objective else SWING


def _simulate_missed_objective(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    """Simulate releases that are proven in good times, and miss the objective when alone.

    Without stable beside it there is nothing to compare with, so the breach is all that is known.
    """
    ratio = Objective().error_ratio
    release = GoodRelease(ratio, 50, sizes.good_release_seconds)
    (outcomes,) = simulate_all(
        executor, (sizes.seed, 10), [Scenario("missed objective", sizes.others, release)]
    )
    harm = sum(outcome.reason is Reason.HARM for outcome in outcomes)
    breach = sum(outcome.reason is Reason.BREACH for outcome in outcomes)
    title = "errors swing to twice the objective: rolled back for"
    yield bound_row(f"{title} harm", harm, sizes.others, limits.FALSE_ROLLBACKS_BOUND)
    yield percentage(f"{title} a breach, alone", breach, sizes.others, None)
