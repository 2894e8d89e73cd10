"""Flagger's algorithm with the settings of its Istio tutorial. Stable is never compared.

Each minute: at five failed checks it rolls back, so a minute after the fifth. Else it checks that
99 % of the last minute's requests succeeded, and that the p99 of the last half minute is at most
500 ms. If so, the weight grows by ten, and after 50 the release is promoted.
"""

from __future__ import annotations

from typing import Final

from rollout.evidence.counts import Arm
from rollout.plan.model import Plan

from ..rollouts import Outcome, summarize
from ..world import World
from .readings import Readings

INTERVAL_SECONDS: Final = 60
THRESHOLD: Final = 5
STEP_WEIGHT: Final = 10
MAX_WEIGHT: Final = 50
MAX_ERROR_RATIO: Final = 0.01
MAX_P99_SECONDS: Final = 0.5
P99_SECONDS: Final = 30


def judge(world: World, _plan: Plan) -> Outcome:
    """Begin at the first weight, and check after each minute."""
    readings = Readings(world)
    readings.read()
    weight, failed_checks = STEP_WEIGHT, 0
    world.set_shares(weight / 100, 0.0)
    while True:
        world.sleep(INTERVAL_SECONDS - P99_SECONDS)
        older = readings.read()[Arm.CANARY]
        world.sleep(P99_SECONDS)
        newer = readings.read()[Arm.CANARY]
        if failed_checks >= THRESHOLD:
            return summarize(world, "rolled-back", "failed checks")
        requests = older.requests + newer.requests
        failures = older.failures + newer.failures
        # Without requests there is no value, and the check fails.
        succeeds = requests > 0 and failures / requests <= MAX_ERROR_RATIO
        if not succeeds or not newer.quantile(0.99) <= MAX_P99_SECONDS:
            failed_checks += 1
        elif weight >= MAX_WEIGHT:
            return summarize(world, "promoted", "")
        else:
            weight += STEP_WEIGHT
            world.set_shares(weight / 100, 0.0)
