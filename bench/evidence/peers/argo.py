"""Argo Rollouts as its documentation shows background analysis with Istio and Prometheus.

The weight grows by 20 every ten minutes. From 40 on, every five minutes, the success rate of the
last two scrapes (irate) must be at least 95 %. After three that were lower the rollout is aborted:
so the text; by the description of ``failureLimit: 3`` it would be after the fourth. Five
measurements in a row without any value are an error, which aborts too.
"""

from __future__ import annotations

from typing import Final

from rollout.evidence.counts import Arm
from rollout.plan.model import Plan

from ..rollouts import Outcome, summarize
from ..world import World
from .readings import Readings

WEIGHTS: Final = (20, 40, 60, 80)
STARTING_WEIGHT: Final = 40
PAUSE_SECONDS: Final = 600.0
INTERVAL_SECONDS: Final = 300.0
MIN_SUCCESS_RATIO: Final = 0.95
FAILURES: Final = 3
CONSECUTIVE_ERRORS: Final = 5


def judge(world: World, _plan: Plan) -> Outcome:
    """Measure at the begin of each interval, as an AnalysisRun does."""
    readings = Readings(world)
    scrape = world.shape.scraping.interval_seconds
    failures = errors = 0
    for weight in WEIGHTS:
        world.set_shares(weight / 100, 0.0)
        for _ in range(round(PAUSE_SECONDS / INTERVAL_SECONDS)):
            if weight >= STARTING_WEIGHT:
                measured = readings.read()[Arm.CANARY]
                errors = 0 if measured.requests else errors + 1
                failures += measured.error_ratio > 1 - MIN_SUCCESS_RATIO
                if failures >= FAILURES or errors >= CONSECUTIVE_ERRORS:
                    return summarize(world, "rolled-back", "failed measurements")
            world.sleep(INTERVAL_SECONDS - scrape)
            readings.read()
            world.sleep(scrape)
    return summarize(world, "promoted", "")
