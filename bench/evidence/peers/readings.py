"""Counters as increase() of PromQL sees them, from one reading to the next, not extrapolated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rollout.evidence.counts import Arm, Counts, Series

from ..requests import Floats
from ..world import World

#: The buckets of istio_request_duration_milliseconds, in seconds.
BUCKETS: Final = (
    *(0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0),
)


@dataclass(frozen=True, slots=True)
class Increase:
    """What one release answered between two readings; ``slow`` by bucket bound, failures too."""

    requests: int
    failures: int
    slow: Floats

    @property
    def error_ratio(self) -> float:
        """NaN without requests."""
        return self.failures / self.requests if self.requests else float("nan")

    def quantile(self, part: float) -> float:
        """Return seconds as histogram_quantile() does: by interpolation in the bucket.

        Failures, of which no latency is known, are left out. NaN without other requests.
        """
        total = self.requests - self.failures
        if total <= 0:
            return float("nan")
        below = total - np.maximum(self.slow - self.failures, 0)
        rank = part * total
        bucket = int(np.searchsorted(below, rank))
        if bucket == len(BUCKETS):
            return BUCKETS[-1]
        low, before = (BUCKETS[bucket - 1], below[bucket - 1]) if bucket else (0.0, 0.0)
        return float(low + (rank - before) / (below[bucket] - before) * (BUCKETS[bucket] - low))


@dataclass(slots=True)
class Readings:
    """Reads a world whose edges are ``BUCKETS``.

    A series that appears begins with its first sample, so requests before it are missed, as by
    increase(). A counter that fell begins again at zero.
    """

    world: World
    _last: dict[Series, Counts] = field(default_factory=dict)

    def read(self) -> dict[Arm, Increase]:
        """Return the increase of each arm since the last reading."""
        slow = {arm: np.zeros(len(BUCKETS)) for arm in Arm}
        requests, failures = dict.fromkeys(Arm, 0), dict.fromkeys(Arm, 0)
        for series, now in self.world.read().counts.items():
            before = self._last.get(series, now)
            self._last[series] = now
            if now.requests < before.requests:
                before = Counts(0, 0, (0,) * len(BUCKETS))
            requests[series.arm] += now.requests - before.requests
            failures[series.arm] += max(0, now.failures - before.failures)
            slow[series.arm] += np.array(now.slow) - np.array(before.slow)
        return {arm: Increase(requests[arm], failures[arm], slow[arm]) for arm in Arm}
