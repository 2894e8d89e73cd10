"""Bad releases: how soon they are rolled back, beside Flagger's algorithm on the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench.frame.rows import Limit, Row, percentage
from rollout.plan.model import Plan

from . import flagger, limits
from .plans import canary_plan
from .recorded_traffic import Behaviour, Recording, Replay
from .rollout_simulation import Outcome, simulate_rollout
from .scenarios import Scenario, Sizes, simulate_all

RPS = 50
STABLE = Behaviour(0.001)
#: +100 ms for one in twenty. Half a percent exceeds the first latency edge without it.
SLOWER = Behaviour(0.001, delayed_ratio=0.05)
SLOW_REQUESTS = 1000


@dataclass(frozen=True)
class BadRelease:
    """One recording, judged by the evidence and by Flagger's algorithm, which starts at 10 %."""

    canary: Behaviour
    starts_at_ten_percent: bool

    def __call__(self, rng: np.random.Generator) -> tuple[Outcome, flagger.Verdict]:
        recording = Recording(rng, RPS)
        plan = self._plan()
        replay = Replay(recording, STABLE, self.canary, plan.objective.slow_seconds)
        ours = simulate_rollout(plan, replay, start=1 if self.starts_at_ten_percent else 0)
        return ours, flagger.judge(recording, self.canary)

    def _plan(self) -> Plan:
        return canary_plan((0.0, 0.1, 1.0)) if self.starts_at_ten_percent else canary_plan()


def simulate_harm(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    demanded: list[tuple[float, Limit, Limit]] = [
        (0.05, limits.FAILED_AT_5_PERCENT, limits.FLAGGER_FAILED_AT_5_PERCENT),
        (1.0, limits.FAILED_AT_100_PERCENT, limits.FLAGGER_FAILED_AT_100_PERCENT),
    ]
    scenarios = [
        Scenario(
            f"{ratio:.0%} errors",
            sizes.others,
            BadRelease(Behaviour(ratio), starts_at_ten_percent=True),
        )
        for ratio, _, _ in demanded
    ]
    found = simulate_all(executor, (sizes.seed, 4), scenarios)
    for (ratio, ours, theirs), pairs in zip(demanded, found, strict=True):
        title = f"{ratio:.0%} errors at weight 10: failed requests, median"
        rolled_back = sum(outcome.rolled_back for outcome, _ in pairs)
        seconds = median(outcome.seconds for outcome, _ in pairs)
        note = f"{rolled_back} of {len(pairs)} rolled back, after {seconds:.0f} s"
        failures = median(outcome.failures for outcome, _ in pairs)
        yield Row(title, failures, "requests", ours, note)
        note = f"after {median(verdict.seconds for _, verdict in pairs):.0f} s"
        failures = median(verdict.failures for _, verdict in pairs)
        yield Row(f"{title}, Flagger's", failures, "requests", theirs, note)


def simulate_regression(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    release = BadRelease(Behaviour(0.008), starts_at_ten_percent=False)
    scenario = Scenario("0.8 % errors beside 0.1 %", sizes.others, release)
    (pairs,) = simulate_all(executor, (sizes.seed, 5), [scenario])
    requests = [outcome.requests for outcome, _ in pairs if outcome.rolled_back]
    title = f"{scenario.title}: rolled back"
    yield percentage(title, len(requests), len(pairs), limits.REGRESSIONS_CAUGHT)
    middle = median(requests) if requests else float("inf")
    title = f"{scenario.title}: requests of the canary, median"
    yield Row(title, middle, "requests", limits.REGRESSION_REQUESTS)
    promoted = sum(verdict.promoted for _, verdict in pairs)
    title = f"{scenario.title}: promoted by Flagger"
    yield percentage(title, promoted, len(pairs), limits.FLAGGER_PROMOTES)


def simulate_slow(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    release = BadRelease(SLOWER, starts_at_ten_percent=False)
    scenario = Scenario("+100 ms on 5 %", sizes.others, release)
    (pairs,) = simulate_all(executor, (sizes.seed, 6), [scenario])
    caught = sum(outcome.rolled_back and outcome.requests <= SLOW_REQUESTS for outcome, _ in pairs)
    title = f"{scenario.title}: rolled back within {SLOW_REQUESTS:,} requests"
    yield percentage(title, caught, len(pairs), limits.SLOW_CAUGHT)
