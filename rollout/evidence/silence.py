"""Finds a canary that gives no successful answer while the old release gives some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

#: So many successful answers must be missing. If they arrive independently, a gap of so many has a
#: probability of exp(-10), 1 in 20,000, after each of them.
MISSING_ANSWERS: Final = 10.0
#: After n answers, ln n more than this: a gap may follow each of them, and the sum of exp(-8) / n
#: over all answers of a step stays below 0.4 %.
MISSING_AFTER_FIRST: Final = 8.0
#: Fewer are enough if requests that reached no release failed meanwhile, at least so many.
MISSING_IF_UNREACHED: Final = 4.0
UNREACHED_FAILURES: Final = 4
#: Clients may stick to a release. So the canary's rate is as uncertain as if so many clients, all
#: equally busy, had chosen a release by chance: with 1 %, ten of them, more or less.
CLIENTS: Final = 1000


class Silence:
    """Counts what the canary should have answered since its last successful answer.

    ``expected`` is how many successful answers are missing, ``unreached`` how many requests that
    reached no release failed meanwhile. Of the last ``awaited`` seconds, some of the canary's own
    counters are still to come. ``rate`` is the mean number of all successful answers
    per second; it is what the canary should have if it gets all requests. ``known`` holds, at the
    present share, the canary's successful answers up to its last one, and how many there should
    have been.
    """

    __slots__ = (
        "awaited",
        "expected",
        "known",
        "least_seconds",
        "rate",
        "seconds",
        "share",
        "unreached",
    )

    #: Weight of the last reading in ``rate``.
    SMOOTHING: Final = 0.2

    def __init__(self) -> None:
        self.expected, self.awaited = 0.0, 0.0
        self.unreached, self.rate = 0, 0.0
        self.known = (0, 0.0)
        self.share: float | None = None
        #: How long the silence lasts, and how long it must last.
        self.seconds, self.least_seconds = 0.0, 0.0

    @property
    def found(self) -> bool:
        """True if the canary is silent."""
        if self.seconds < self.least_seconds:
            return False
        missing = self.expected * max(0.0, 1 - self.awaited / self.seconds if self.seconds else 1)
        return self._unlikely(missing) or (
            missing >= MISSING_IF_UNREACHED and self.unreached >= UNREACHED_FAILURES
        )

    def _unlikely(self, missing: float) -> bool:
        """Return True if a good canary hardly ever pauses for so long.

        Its rate is gamma distributed around the desired one, before and after what is known of it.
        """
        own, due = self.known
        clients = CLIENTS * (self.share or 0.0)
        if missing <= 0 or not clients:
            return False
        least = max(MISSING_ANSWERS, MISSING_AFTER_FIRST + math.log1p(own))
        return (clients + own) * math.log1p(missing / (clients + due)) >= least

    def add(
        self,
        answered: int,
        old_answered: int,
        share: float | None,
        seconds: float,
        *,
        unreached: int = 0,
        awaited_seconds: float = 0.0,
        least_seconds: float = 0.0,
    ) -> None:
        """Add a reading: the successful answers of both, and the canary's share if it is known.

        ``seconds`` is the time that the reading covers: 0 if no counter has a new sample.
        Some of the canary's counters of the last ``awaited_seconds`` are still to come.
        """
        if seconds > 0 and not awaited_seconds and (answered or share == 0):
            rate = (answered + old_answered) / seconds
            self.rate = rate if not self.rate else self.rate + self.SMOOTHING * (rate - self.rate)
        self.least_seconds = least_seconds
        self.seconds = 0.0 if answered or not share else self.seconds + seconds
        if share is not None and share != self.share:
            self.share, self.known = share, (0, 0.0)
        due = self._due(old_answered, share, seconds)
        if answered:
            own, before = self.known
            self.known = own + answered, before + self._mean(self.expected) + due
        if share == 0 or answered:
            self.expected, self.awaited, self.unreached = 0.0, 0.0, 0
        elif share is not None:
            self.expected += due / self._mean(1.0)
            self.awaited = awaited_seconds
            self.unreached += unreached

    def forgive(self) -> None:
        """Begin anew: the old release has an outage too."""
        self.expected, self.awaited, self.unreached, self.seconds = 0.0, 0.0, 0, 0.0

    def _mean(self, missing: float) -> float:
        """Return how many answers are due on average where so many count as missing.

        They are the same for small shares. With most requests on the canary, one answer of the old
        release is little evidence: it comes first with a chance of 1 - share, so it counts for the
        logarithm of that.
        """
        share = self.share or 0.0
        return (
            missing if share in {0.0, 1.0} else missing * share / (share - 1) / math.log1p(-share)
        )

    def _due(self, old_answered: int, share: float | None, seconds: float) -> float:
        if not share:
            return 0.0
        return self.rate * seconds if share == 1 else old_answered * share / (1 - share)

    def dump(self) -> list[Any]:
        """Return the complete state for JSON."""
        return [
            self.expected,
            self.awaited,
            self.unreached,
            self.rate,
            list(self.known),
            self.share,
            self.seconds,
            self.least_seconds,
        ]

    @classmethod
    def load(cls, dumped: Sequence[Any]) -> Silence:
        """Restore what ``dump`` returned; raise ValueError or TypeError."""
        silence = cls()
        silence.expected, silence.awaited, silence.unreached, silence.rate, known, *more = dumped
        own, due = known
        silence.known = own, due
        silence.share, silence.seconds, silence.least_seconds = more
        return silence
