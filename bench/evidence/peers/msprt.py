"""A plain sequential test: the sequential multinomial test of Lindon and Malek (NeurIPS 2022).

It assumes that failed requests are split as the weights say, and asks at each reading whether they
are. Slow ones are tested alike, at 100 and 500 ms. Each step has a test of its own; the tests of
all steps multiply. It rolls back at a mean e-value of 100 if the canary has more than its part. It
follows the plan, and promotes after its last step.
"""

from __future__ import annotations

import math
from typing import Final

from rollout.evidence.counts import Arm
from rollout.plan.model import Plan

from ..rollouts import Outcome, summarize
from ..world import World
from .readings import BUCKETS, Increase, Readings

THRESHOLD: Final = 100.0
SLOW: Final = (BUCKETS.index(0.1), BUCKETS.index(0.5))
#: That of the Dirichlet prior around the desired split.
STRENGTH: Final = 100.0
#: A logarithm far beyond any threshold, whose exponential is a number.
LARGEST: Final = 600.0


def judge(world: World, plan: Plan) -> Outcome:
    readings = Readings(world)
    finished = [0.0] * (1 + len(SLOW))
    for step in plan.steps:
        share = step.share or 0.0
        world.set_shares(share, 0.0)
        readings.read()
        sums = [[0, 0] for _ in finished]
        for _ in range(round(plan.step_seconds / plan.poll_seconds)):
            world.sleep(plan.poll_seconds)
            found = readings.read()
            for both, old, new in zip(
                sums, _bad(found[Arm.STABLE]), _bad(found[Arm.CANARY]), strict=True
            ):
                both[0] += old
                both[1] += new
            logs = [
                before + (log_e_value(old, new, share) if 0 < share < 1 else 0.0)
                for before, (old, new) in zip(finished, sums, strict=True)
            ]
            mean = sum(math.exp(min(log, LARGEST)) for log in logs) / len(logs)
            more = any(new > share * (old + new) for old, new in sums)
            if mean >= THRESHOLD and more:
                return summarize(world, "rolled-back", "rejected")
        finished = logs
    return summarize(world, "promoted", "")


def _bad(arm: Increase) -> list[int]:
    return [arm.failures, *(int(arm.slow[edge]) for edge in SLOW)]


def log_e_value(stable: int, canary: int, share: float) -> float:
    """Return the log e-value against "the events are split by the desired share".

    B(a + S) / B(a) / prod(share ** S), with a = STRENGTH * share.
    """
    arms = ((1 - share, stable), (share, canary))
    return (
        sum(math.lgamma(STRENGTH * part + count) for part, count in arms)
        - math.lgamma(STRENGTH + stable + canary)
        - sum(math.lgamma(STRENGTH * part) for part, _ in arms)
        + math.lgamma(STRENGTH)
        - sum(count * math.log(part) for part, count in arms)
    )
