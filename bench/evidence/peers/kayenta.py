"""Kayenta's judge, as Spinnaker's guides describe it and advise to use it.

An hour at a weight of 10, beside a baseline where there is one. A point each minute, of three
metrics: the error ratio, the median and the 99th percentile of latency. Fifty points or more are
advised, so it is judged once, at the end. A metric is high if the 98 % confidence interval of the
difference (Mann and Whitney) lies above a quarter of its estimate (Hodges and Lehmann). One high
metric of three leaves 67 points of 100, which is below the usual marginal score of 75.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from rollout.evidence.counts import Arm
from rollout.plan.model import Plan

from ..requests import Floats
from ..rollouts import Outcome, summarize
from ..world import World
from .readings import Increase, Readings

SHARE: Final = 0.1
POINTS: Final = 60
POINT_SECONDS: Final = 60.0
TOLERANCE: Final = 0.25
#: The normal quantile of 0.99: two sides of a 98 % interval.
QUANTILE: Final = 2.326


def judge(world: World, _plan: Plan) -> Outcome:
    readings = Readings(world)
    has_baseline = world.shape.has_baseline
    world.set_shares(SHARE, SHARE if has_baseline else 0.0)
    control, canary = [], []
    for _ in range(POINTS + 1):
        world.sleep(POINT_SECONDS)
        point = readings.read()
        control.append(_metrics(point[Arm.BASELINE if has_baseline else Arm.STABLE]))
        canary.append(_metrics(point[Arm.CANARY]))
    # The first point began before the canary had requests.
    columns = zip(np.array(control[1:]).T, np.array(canary[1:]).T, strict=True)
    if any(is_high(_known(new), _known(old)) for old, new in columns):
        return summarize(world, "rolled-back", "score")
    return summarize(world, "promoted", "")


def is_high(canary: Floats, control: Floats) -> bool:
    """Return True if the canary's values are classified as high. Without values they are not."""
    if not len(canary) or not len(control):
        return False
    differences = np.sort(np.subtract.outer(canary, control).ravel())
    count = len(differences)
    spread = QUANTILE * math.sqrt(count * (len(canary) + len(control) + 1) / 12)
    lower = differences[max(0, math.floor(count / 2 - spread))]
    return bool(lower > TOLERANCE * abs(float(np.median(differences))))


def _metrics(point: Increase) -> tuple[float, float, float]:
    return point.error_ratio, point.quantile(0.5), point.quantile(0.99)


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]
