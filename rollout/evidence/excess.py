"""Whether all requests together fail more often than before the canary got any."""

from __future__ import annotations

import math
from typing import Final

from .counts import OUTAGE_FAILURES, OUTAGE_RATIO

#: So many requests must have been counted before the canary got any.
_LEAST_REQUESTS: Final = 200
#: How many times more hits than before there may be.
_RATIOS: Final = tuple(1.15 * 1.6**power for power in range(10))
_LOGS: Final = tuple(math.log(ratio) for ratio in _RATIOS)
_EXCESSES: Final = tuple(ratio - 1 for ratio in _RATIOS)


class Excess:
    """Compares the hits of all releases since the canary began to look worse, with those before.

    Clients differ. If those whose requests fail happen to be the canary's, it fails more requests
    than the old release does now, but all together fail as many as before. A release that is worse
    adds failures. ``before`` holds the old release's hits and requests while the canary had none
    or few, ``now`` those of all since it last began to look worse.
    """

    __slots__ = ("before", "now")

    def __init__(self, before: tuple[int, int] = (0, 0), now: tuple[int, int] = (0, 0)) -> None:
        self.before, self.now = before, now

    @property
    def log(self) -> float:
        """Return the logarithm of the mean likelihood ratio of more hits now than before.

        Given the number of all hits, those of now are binomial. It is infinite if too little was
        counted before.
        """
        hits, requests = self.before
        if requests < _LEAST_REQUESTS:
            return math.inf
        more, later = self.now
        if not more:
            return 0.0
        share = later / (later + requests)
        logs = [
            more * per_hit - (more + hits) * math.log1p(share * excess)
            for excess, per_hit in zip(_EXCESSES, _LOGS, strict=True)
        ]
        greatest = max(logs)
        mean = math.fsum(math.exp(log - greatest) for log in logs) / len(logs)
        return greatest + math.log(mean)

    def add_before(self, hits: int, requests: int) -> None:
        """Add the old release's hits and requests while the canary has none or few."""
        # An outage doesn't show how the old release usually is.
        known, counted = self.before
        ratio = known / counted if counted else 0.0
        if hits < OUTAGE_FAILURES or hits <= max(OUTAGE_RATIO, 2 * ratio) * requests:
            self.before = known + hits, counted + requests

    def add(self, hits: int, requests: int, *, worse: bool) -> None:
        """Add a later window: hits and requests of all releases; ``worse`` if the canary looks so.

        While it doesn't, what is compared begins anew.
        """
        if worse:
            self.now = self.now[0] + hits, self.now[1] + requests
        else:
            self.now = 0, 0
