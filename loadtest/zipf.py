"""Ranks drawn by Zipf's law: few keys get most of the requests. Pure."""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate


class Zipf:
    """Draws ranks from 0; rank r has the weight 1 / (r + 1) ** exponent.

    YCSB's exponent is 0.99: of 1000 keys the first gets 13 % of the draws, the first ten 38 %
    (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, 2010).
    """

    def __init__(self, ranks: int, exponent: float = 0.99) -> None:
        if ranks < 1:
            raise ValueError("there must be a rank to draw")
        weights = (float((rank + 1) ** -exponent) for rank in range(ranks))
        self._cumulated = list(accumulate(weights))

    def draw(self, rng: random.Random) -> int:
        """Return a rank."""
        return bisect_right(self._cumulated, rng.random() * self._cumulated[-1])

    def probability(self, rank: int) -> float:
        """Return the chance of a rank."""
        below = self._cumulated[rank - 1] if rank else 0.0
        return (self._cumulated[rank] - below) / self._cumulated[-1]
