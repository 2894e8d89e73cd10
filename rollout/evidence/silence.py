"""Finds a canary that gives no successful answer while the old release gives some."""

from __future__ import annotations

from typing import Final

#: So many successful answers must be missing. If they arrive independently, a gap of so many has a
#: probability of exp(-10), 1 in 20,000, after each of them.
MISSING_ANSWERS: Final = 10.0
#: Fewer are enough if requests that reached no release failed meanwhile, at least so many.
MISSING_IF_UNREACHED: Final = 4.0
UNREACHED_FAILURES: Final = 4


class Silence:
    """Counts what the canary should have answered since its last successful answer.

    ``expected`` is how many successful answers are missing, ``unreached`` how many requests that
    reached no release failed meanwhile. ``awaited`` is the part of ``expected`` for which the
    canary's own counters are still to come. ``rate`` is the mean number of all successful answers
    per second; it is what the canary should have if it gets all requests. ``known`` holds, at the
    present share, the successful answers of the canary and of the old release up to the canary's
    last one: where clients stick to a release, it may get less than its share. ``since`` is what
    the old release answered after that.
    """

    __slots__ = (
        "awaited",
        "expected",
        "known",
        "least_seconds",
        "rate",
        "seconds",
        "share",
        "since",
        "unreached",
    )

    #: Weight of the last reading in ``rate``.
    SMOOTHING: Final = 0.2

    def __init__(
        self,
        expected: float = 0.0,
        awaited: float = 0.0,
        unreached: int = 0,
        rate: float = 0.0,
        known: tuple[int, int] = (0, 0),
        since: int = 0,
        share: float | None = None,
        seconds: float = 0.0,
        least_seconds: float = 0.0,
    ) -> None:
        self.expected, self.awaited = expected, awaited
        self.unreached, self.rate = unreached, rate
        self.known = known
        self.since, self.share = since, share
        #: How long the silence lasts, and how long it must last.
        self.seconds, self.least_seconds = seconds, least_seconds

    @property
    def found(self) -> bool:
        """True if the canary is silent."""
        if self.seconds < self.least_seconds:
            return False
        missing = self.expected - self.awaited
        return missing >= MISSING_ANSWERS or (
            missing >= MISSING_IF_UNREACHED and self.unreached >= UNREACHED_FAILURES
        )

    def add(
        self,
        answered: int,
        old_answered: int,
        share: float | None,
        seconds: float,
        *,
        unreached: int = 0,
        awaited: bool = False,
        least_seconds: float = 0.0,
    ) -> None:
        """Add a reading: the successful answers of both, and the canary's share if it is known.

        ``awaited`` is True if the canary's counters of this time are still to come.
        """
        if seconds > 0 and not awaited and (answered or share == 0):
            rate = (answered + old_answered) / seconds
            self.rate = rate if not self.rate else self.rate + self.SMOOTHING * (rate - self.rate)
        self.least_seconds = least_seconds
        self.seconds = 0.0 if answered or not share else self.seconds + seconds
        if share is not None and share != self.share:
            self.share, self.known, self.since = share, (0, 0), 0
        if answered:
            self.known = self.known[0] + answered, self.known[1] + self.since + old_answered
            self.since = 0
        else:
            self.since += old_answered
        if share == 0 or answered:
            self.expected, self.awaited, self.unreached = 0.0, 0.0, 0
        elif share is not None:
            expected = self._expected(old_answered, share, seconds)
            self.expected += expected
            self.awaited = self.awaited + expected if awaited else 0.0
            self.unreached += unreached

    def forgive(self) -> None:
        """Begin anew: the old release has an outage too."""
        self.expected, self.awaited, self.unreached, self.seconds = 0.0, 0.0, 0, 0.0

    def _expected(self, old_answered: int, share: float, seconds: float) -> float:
        if share == 1:
            return self.rate * seconds
        ratio = share / (1 - share)
        own, others = self.known
        return old_answered * (min(ratio, (own + 1) / others) if others else ratio)
