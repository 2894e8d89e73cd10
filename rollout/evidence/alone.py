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

#: The canary must have been slow for so many seconds before that counts: what both releases share
#: may be slow for a while, and nothing else answers that could show it.
SPELL_SECONDS: Final = 30.0
#: So many slow answers more than usual are a spell; more are not remembered.
_SPELL_HITS: Final = 5.0

_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))


class Spell:
    """Since when more answers were slow than usual: a one-sided cumulative sum (Page 1954).

    ``excess`` is the number of slow answers beyond the usual one since the spell began. ``since``
    is the end of its first window: within that, it may have begun late.
    """

    __slots__ = ("excess", "since")

    def __init__(self, excess: float = 0.0, since: float | None = None) -> None:
        self.excess, self.since = excess, since

    @property
    def is_evident(self) -> bool:
        return self.excess >= _SPELL_HITS

    def has_lasted(self, at: float) -> bool:
        return self.since is not None and at - self.since >= SPELL_SECONDS

    def add(self, slow: int, usual: float, until: float) -> None:
        """Add a window that ended at ``until``; ``usual`` is how many may have been slow."""
        self.excess = min(_SPELL_HITS, max(0.0, self.excess + slow - usual))
        if not self.excess:
            self.since = None
        elif self.since is None:
            self.since = until


class Alone:
    """The e-processes "it fails more than its objective allows" and "it is slower"."""

    __slots__ = ("_breach", "_breach_span", "_past", "_slow", "_slow_spans", "_spells")

    def __init__(self, edges: int, past: Counts | None = None) -> None:
        """``edges`` is the number of latency thresholds.

        Once it is known what the old release had after ``past``, only that is compared.
        """
        self._past = past or Counts(0, 0, (0,) * edges)
        self._breach = Mixture(_WORSE)
        self._breach_span = Span()
        self._slow = [Mixture(_WORSE) for _ in range(edges)]
        self._slow_spans = [Span() for _ in range(edges)]
        self._spells = [Spell() for _ in range(edges)]

    @property
    def suspect(self) -> bool:
        """Return True while it is slower than the old release was before."""
        return any(spell.is_evident for spell in self._spells)

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
        self,
        canary: Counts,
        old_before: Counts,
        times: tuple[float, float],
        error_ratio: float,
        *,
        warm: bool = True,
    ) -> None:
        """Add a window; ``old_before`` is all that the old release ever had.

        Slow answers count if the pods are ``warm``, and have been slow for SPELL_SECONDS before.
        """
        if not canary.requests:
            return
        failures = self._breach_span.add(canary.failures, canary.requests, times, error_ratio)
        self._breach.add(failures, canary.requests, error_ratio)
        old = self._lately(old_before)
        if old.requests < _ALONE_REQUESTS:
            return
        for index, spell in enumerate(self._spells):
            if old.requests - old.slow[index] < _ALONE_QUICK:
                continue
            ratio = (old.slow[index] + 1) / (old.requests + 2)
            odds = ALONE_MARGIN * ratio / (1 - ratio)
            usual = max(ALONE_LEAST, odds / (1 + odds))
            # By what was known before this window, so that the choice of windows proves nothing.
            if warm and spell.has_lasted(times[0]):
                span = self._slow_spans[index]
                slow = span.add(canary.slow[index], canary.requests, times, usual, 1.0)
                self._slow[index].add(slow, canary.requests, usual)
            spell.add(canary.slow[index], canary.requests * usual, times[1])

    def _lately(self, old: Counts) -> Counts:
        past = self._past
        if old.requests - past.requests < _ALONE_REQUESTS:
            return old
        slow = tuple(now - then for now, then in zip(old.slow, past.slow, strict=True))
        return Counts(old.requests - past.requests, old.failures - past.failures, slow)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        past = self._past
        return {
            "alone_past": [past.requests, past.failures, list(past.slow)],
            "breach": self._breach.logs,
            "breach_span": self._breach_span.dump(),
            "alone": [test.logs for test in self._slow],
            "alone_spans": [span.dump() for span in self._slow_spans],
            "alone_spells": [[spell.excess, spell.since] for spell in self._spells],
        }

    @classmethod
    def load(cls, edges: int, dumped: Mapping[str, Any]) -> Alone:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        alone = cls(edges)
        alone._breach = Mixture(_WORSE, dumped["breach"])
        alone._breach_span = Span.load(dumped["breach_span"])
        alone._slow = [Mixture(_WORSE, logs) for logs in dumped["alone"]]
        alone._slow_spans = [Span.load(span) for span in dumped["alone_spans"]]
        # The last version had no spells, and no past.
        requests, failures, slow = dumped.get("alone_past", [0, 0, [0] * edges])
        alone._past = Counts(requests, failures, tuple(slow))
        spells = dumped.get("alone_spells", [[0.0, None]] * edges)
        alone._spells = [Spell(float(excess), since) for excess, since in spells]
        parts = (alone._slow, alone._slow_spans, alone._spells, alone._past.slow)
        if {len(part) for part in parts} != {edges}:
            raise ValueError(f"alone: must have {edges} parts, one for each latency threshold")
        return alone
