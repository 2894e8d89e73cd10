"""Whether the canary meets its objective, without what an outage of both releases did to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .counts import Counts, fail_together, fails_much
from .mixture import Alternatives, Mixture

#: The first one stands for a release that never fails.
_BETTER: Final = Alternatives((0.001, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9))
#: What the evidence of merit may exceed its threshold by, as a logarithm. Failures that come after
#: a long good time take it below the threshold soon.
_SPARE: Final = 2.0


class Merit:
    """An e-process against "the canary fails ``error_ratio`` of its requests or more".

    While the canary fails much, it is open why. A holdback gives the old release a request now and
    then, so what it did meanwhile is gathered until the canary recovers. If the old release failed
    too, the time says nothing of the canary and is left out.
    """

    __slots__ = ("_before", "_canary", "_mixture", "_old")

    def __init__(self) -> None:
        self._mixture = Mixture(_BETTER)
        #: The mixture before the canary began to fail much, None while it doesn't.
        self._before: Mixture | None = None
        #: Requests and failures since then.
        self._canary = self._old = Counts(0, 0)

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value."""
        if self._before is not None and fail_together(self._old, self._canary):
            return self._before.log
        return self._mixture.log

    @property
    def is_open(self) -> bool:
        """True while the canary fails much."""
        return self._before is not None

    def add(self, canary: Counts, old: Counts, error_ratio: float, proven_log: float) -> None:
        """Add a window; ``proven_log`` is the logarithm at which the objective is proven."""
        if fails_much(canary):
            if self._before is None:
                self._before = Mixture(_BETTER, self._mixture.logs)
            self._canary += _without_slow(canary)
            self._old += _without_slow(old)
        elif self._before is not None:
            if fail_together(self._old, self._canary):
                self._mixture = self._before
            self._close()
        self._mixture.add(canary.failures, canary.requests, error_ratio)
        self._mixture.limit(_SPARE + proven_log)

    def requests_until(self, log: float, failure_ratio: float, error_ratio: float) -> int | None:
        """Estimate how many more requests raise the logarithm to ``log``; None if they never do.

        ``failure_ratio`` is the ratio of them that will fail.
        """
        return self._mixture.trials_until(log, failure_ratio, error_ratio)

    def forget_open(self) -> None:
        """Leave out the time since the canary began to fail much, if it still does."""
        self._mixture = self._before or self._mixture
        self._close()

    def _close(self) -> None:
        self._before = None
        self._canary = self._old = Counts(0, 0)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        before = self._before
        counts = [[each.requests, each.failures] for each in (self._canary, self._old)]
        return {
            "logs": self._mixture.logs,
            "open": None if before is None else {"logs": before.logs, "counts": counts},
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Merit:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        merit = cls()
        merit._mixture = Mixture(_BETTER, dumped["logs"])
        if (opened := dumped["open"]) is not None:
            merit._before = Mixture(_BETTER, opened["logs"])
            merit._canary, merit._old = (Counts(*each) for each in opened["counts"])
        return merit


def proven_log(false_promotion: float) -> float:
    """Return the logarithm of the e-value at which the objective is proven."""
    return -math.log(false_promotion)


def _without_slow(counts: Counts) -> Counts:
    return Counts(counts.requests, counts.failures)
