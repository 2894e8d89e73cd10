"""A good release whose samples are late, or sometimes missed, is no silent one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evidence.good_worlds import FEW
from bench.evidence.scenarios import Scenario
from bench.evidence.scrapes import Scraping
from bench.evidence.world import Shape

LATE = Scenario("late", (FEW,), Shape(scraping=Scraping(lag_seconds=15.0)))
MISSED = Scenario("missed", (FEW,), Shape(is_app=True, scraping=Scraping(missed=0.1)))


@pytest.mark.parametrize(
    ("world", "seed"),
    # Rollouts of which each was rolled back, while samples from before a step counted for the step,
    # and a pod was silent, or unknown, after two samples that were missed.
    [*((LATE, seed) for seed in (4, 11, 23)), *((MISSED, seed) for seed in (5, 6, 9))],
    ids=lambda value: value.title if isinstance(value, Scenario) else str(value),
)
def test_it_is_promoted(world: Scenario, seed: int) -> None:
    assert world(np.random.default_rng(seed)).promoted
