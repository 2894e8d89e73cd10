"""A canary that has all requests: judged by its objective, and by how the old release was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .counts import Counts
from .incident import Span
from .mixture import Alternatives, Mixture, log_sum

#: It may be as many times slower than the old release was before.
ALONE_MARGIN: Final = 4.0
#: Fewer slow answers than this ratio are never held against it.
ALONE_LEAST: Final = 0.05
#: So many requests of the old release must have been counted for that.
_ALONE_REQUESTS: Final = 200
#: And so many of them were within the threshold. If all exceed it, its odds are infinite, and those
#: of fewer are not known well enough for the margin.
_ALONE_QUICK: Final = 20

_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))


class Alone:
    """The e-processes "it fails more than its objective allows" and "it is slower"."""

    __slots__ = ("_breach", "_breach_span", "_slow", "_slow_spans")

    def __init__(self, edges: int) -> None:
        """``edges`` is the number of latency thresholds."""
        self._breach = Mixture(_WORSE)
        self._breach_span = Span()
        self._slow = [Mixture(_WORSE) for _ in range(edges)]
        self._slow_spans = [Span() for _ in range(edges)]

    @property
    def breach_log(self) -> float:
        """Logarithm of the e-value against "it fails at most ``error_ratio``"."""
        return self._breach.log

    @property
    def slower_log(self) -> float:
        """Logarithm of the e-value against "it is no slower than the old release was"."""
        if not self._slow:
            return 0.0
        return log_sum([test.log for test in self._slow]) - math.log(len(self._slow))

    def add(
        self, canary: Counts, old_before: Counts, times: tuple[float, float], error_ratio: float
    ) -> None:
        """Add a window; ``old_before`` is all that the old release ever had."""
        if not canary.requests:
            return
        failures = self._breach_span.add(canary.failures, canary.requests, times, error_ratio)
        self._breach.add(failures, canary.requests, error_ratio)
        requests = old_before.requests
        if requests < _ALONE_REQUESTS:
            return
        for index, (test, span) in enumerate(zip(self._slow, self._slow_spans, strict=True)):
            if requests - old_before.slow[index] < _ALONE_QUICK:
                continue
            ratio = (old_before.slow[index] + 1) / (requests + 2)
            odds = ALONE_MARGIN * ratio / (1 - ratio)
            usual = max(ALONE_LEAST, odds / (1 + odds))
            slow = span.add(canary.slow[index], canary.requests, times, usual, 1.0)
            test.add(slow, canary.requests, usual)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "breach": self._breach.logs,
            "breach_span": self._breach_span.dump(),
            "alone": [test.logs for test in self._slow],
            "alone_spans": [span.dump() for span in self._slow_spans],
        }

    @classmethod
    def load(cls, edges: int, dumped: Mapping[str, Any]) -> Alone:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        alone = cls(edges)
        alone._breach = Mixture(_WORSE, dumped["breach"])
        alone._breach_span = Span.load(dumped["breach_span"])
        alone._slow = [Mixture(_WORSE, logs) for logs in dumped["alone"]]
        alone._slow_spans = [Span.load(span) for span in dumped["alone_spans"]]
        if {len(alone._slow), len(alone._slow_spans)} != {edges}:
            raise ValueError(f"alone: must have {edges} parts, one for each latency threshold")
        return alone
