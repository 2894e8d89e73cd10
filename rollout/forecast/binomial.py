"""Random numbers of a binomial distribution; Python has them from 3.12 on only."""

from __future__ import annotations

import math
import random
from typing import Final

#: From so many expected hits and misses on, a normal distribution is as good.
_MANY: Final = 500.0


def draw_binomial(chance: random.Random, trials: int, probability: float) -> int:
    """Draw how many of ``trials`` are hits."""
    if trials <= 0 or probability <= 0:
        return 0
    if probability > 0.5:
        return trials - draw_binomial(chance, trials, 1 - probability)
    mean = trials * probability
    if mean > _MANY:
        drawn = round(chance.gauss(mean, math.sqrt(mean * (1 - probability))))
        return min(max(drawn, 0), trials)
    # Skip from hit to hit: the gaps are geometric.
    hits, last, log_miss = 0, -1, math.log1p(-probability)
    while True:
        last += 1 + int(math.log(1.0 - chance.random()) / log_miss)
        if last >= trials:
            return hits
        hits += 1
