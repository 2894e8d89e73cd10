"""Sample-ratio mismatch: it is found, it causes no rollback, and it breaks fixed weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from bench.frame.rows import Row, percentage
from rollout.evidence import Evidence
from rollout.evidence.objective import Objective

from . import limits
from .confidence import bound_row
from .drawn_traffic import DrawnTraffic, Release, constant, drifting_share
from .plans import canary_plan
from .rollout_simulation import Outcome, simulate_rollout
from .scenarios import Scenario, Sizes, simulate_all

SHARE = 0.1
SECONDS = 600
RELEASE = Release(0.05)


@dataclass(frozen=True)
class KnownShare:
    """A rollout whose evidence uses the desired share. The actual share drifts, or keeps to it."""

    drifting: bool

    def __call__(self, rng: np.random.Generator) -> Outcome:
        traffic = DrawnTraffic(
            rng=rng,
            rps=50,
            stable=Release(0.001),
            canary=Release(0.001),
            share_factor=drifting_share(rng) if self.drifting else constant,
        )
        return simulate_rollout(canary_plan(deadline_seconds=900.0), traffic)


def compare_with_fixed_weights(rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether the evidence, and fixed weights, ever roll back while the share drifts."""
    traffic = DrawnTraffic(
        rng=rng, rps=50, stable=RELEASE, canary=RELEASE, share_factor=drifting_share(rng)
    )
    evidence = Evidence(Objective())
    threshold = 1 / evidence.objective.false_rollback
    ours = theirs = False
    for number in range(int(SECONDS / traffic.seconds)):
        evidence.observe(traffic.window(number * traffic.seconds, SHARE), None)
        ours = ours or evidence.harmful
        failures = evidence.stable.failures, evidence.canary.failures
        theirs = theirs or fixed_weights(*failures) >= math.log(threshold)
    return ours, theirs


def fixed_weights(stable: int, canary: int, share: float = SHARE, strength: float = 100.0) -> float:
    """Return the log e-value against "failures are split by the desired share".

    The sequential multinomial test of Lindon and Malek (NeurIPS 2022) with two arms: a Dirichlet
    prior of that strength around the desired split, B(a + S) / B(a) / prod(share ** S).
    """
    arms = ((1 - share, stable), (share, canary))
    return (
        sum(math.lgamma(strength * part + count) for part, count in arms)
        - math.lgamma(strength + stable + canary)
        - sum(math.lgamma(strength * part) for part, _ in arms)
        + math.lgamma(strength)
        - sum(count * math.log(part) for part, count in arms)
    )


def simulate_mismatch(sizes: Sizes, executor: Executor) -> Iterator[Row]:
    scenarios = [
        Scenario("share as desired", sizes.good_releases, KnownShare(drifting=False)),
        Scenario("share drifts", sizes.others, KnownShare(drifting=True)),
    ]
    kept, drifted = simulate_all(executor, (sizes.seed, 2), scenarios)
    false, found = (sum(each.mismatched for each in outcomes) for outcomes in (kept, drifted))
    if sizes.limits_each_scenario:
        title = "share as desired: mismatch"
        yield bound_row(title, false, len(kept), limits.FALSE_MISMATCHES_BOUND)
    title = "share drifts to 3 times: "
    yield percentage(f"{title}mismatch", found, len(drifted), limits.MISMATCHES_FOUND)
    rolled_back = sum(outcome.rolled_back for outcome in drifted)
    yield percentage(f"{title}rolled back", rolled_back, len(drifted), limits.NONE)
    scenario = Scenario("fixed weights", sizes.others, compare_with_fixed_weights)
    (pairs,) = simulate_all(executor, (sizes.seed, 3), [scenario])
    ours, theirs = (sum(column) for column in zip(*pairs, strict=True))
    title = "share drifts from 10 to 30 %, both 5 % errors: "
    yield bound_row(f"{title}rolled back", ours, len(pairs), limits.FALSE_ROLLBACKS_BOUND)
    yield percentage(f"{title}by fixed weights", theirs, len(pairs), limits.FIXED_WEIGHTS_FAIL)
