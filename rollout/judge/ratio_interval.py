"""An interval for the ratio of two error rates that is valid at every look. Pure.

For each ratio on a grid there is an e-process against "the canary's error rate is this multiple of
stable's". The interval holds the ratios whose e-value is below 1/alpha. By Ville's inequality, the
true ratio is ever outside with a probability of at most alpha (a confidence sequence: Howard,
Ramdas, McAuliffe and Sekhon 2021).

In a window, given m failures of both, those of the canary are binomial with the probability
c = w r / (w r + 1 - w), where w is its share of the requests and r the ratio. This is exact while
failures are rare (then they are Poisson), and conservative at r = 1 (Hoeffding 1963). It assumes
that the ratio does not change, and that failures do not come in clusters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ..evidence.counts import Counts

CONFIDENCE: Final = 0.95
_GRID: Final = tuple(2.0 ** (step / 4) for step in range(-24, 25))
#: Alternatives on both sides, as multiples of the odds.
_ALTERNATIVES: Final = tuple(
    math.exp(sign * 0.2 * 2**power) for power in range(5) for sign in (-1, 1)
)
#: Of each, its logarithm, and how much it is more than one: of each number once, not each window.
_ODDS: Final = tuple((math.log(odds), odds - 1) for odds in _ALTERNATIVES)
_REJECTED: Final = -math.log(1 - CONFIDENCE)
_LOG_SIZE: Final = math.log(len(_ALTERNATIVES))


class RatioInterval:
    """The ratio of the canary's error rate to stable's: an estimate, and its interval."""

    def __init__(self) -> None:
        self._logs = [[0.0] * len(_ALTERNATIVES) for _ in _GRID]
        #: Sums for the estimate of Mantel and Haenszel, which weights do not distort.
        self._canary = self._stable = 0.0

    def add(self, stable: Counts, canary: Counts) -> None:
        """Add the counts of a window, in which both arms had requests."""
        failures, requests = stable.failures + canary.failures, stable.requests + canary.requests
        if not failures or not stable.requests or not canary.requests:
            return
        share = canary.requests / requests
        self._canary += canary.failures * (1 - share)
        self._stable += stable.failures * share
        gains = [(canary.failures * log_odds, more) for log_odds, more in _ODDS]
        for ratio, logs in zip(_GRID, self._logs, strict=True):
            probability = share * ratio / (share * ratio + 1 - share)
            logs[:] = [
                log + (gain - failures * math.log1p(probability * more))
                for log, (gain, more) in zip(logs, gains, strict=True)
            ]

    @property
    def estimate(self) -> float | None:
        """Return the estimated ratio, None if stable had no failure beside the canary."""
        return self._canary / self._stable if self._stable else None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Return the lower and the upper bound; None where there is none between 1/64 and 64."""
        held = [index for index, logs in enumerate(self._logs) if not _is_rejected(logs)]
        if not held:  # beyond the grid
            is_worse = self._canary > self._stable
            return (_GRID[-1], None) if is_worse else (None, _GRID[0])
        # A rejected ratio is the bound: the truth lies between it and its neighbour.
        first, last = held[0], held[-1]
        lower = _GRID[first - 1] if first else None
        return lower, _GRID[last + 1] if last + 1 < len(_GRID) else None

    def dump(self) -> dict[str, Any]:
        """Return the state for JSON."""
        return {"logs": self._logs, "canary": self._canary, "stable": self._stable}

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> RatioInterval:
        """Restore what ``dump`` returned; raise ValueError for anything else."""
        interval = cls()
        try:
            logs = [[float(log) for log in row] for row in saved["logs"]]
            interval._canary, interval._stable = float(saved["canary"]), float(saved["stable"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no saved interval: {error!r}") from error
        if [len(row) for row in logs] != [len(row) for row in interval._logs]:
            raise ValueError("another version wrote the interval")
        interval._logs = logs
        return interval


def _is_rejected(logs: list[float]) -> bool:
    greatest = max(logs)
    # The mean lies between the greatest part and the greatest: only near the bound is it needed.
    if greatest < _REJECTED:
        return False
    if greatest > _REJECTED + _LOG_SIZE + 1e-9:
        return True
    mean = math.log(sum(math.exp(log - greatest) for log in logs) / len(logs))
    return greatest + mean >= _REJECTED
