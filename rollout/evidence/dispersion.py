"""How much more the counts of one release vary from window to window than independent ones."""

from __future__ import annotations

from typing import Final

#: As if this many units of expected variance had been seen in counts of independent requests.
_PRIOR: Final = 2.0


class Dispersion:
    """The index of dispersion: 1 for independent requests, c for hits that come c at a time.

    It compares each window with the one before: given their sum, the hits of the later one are
    binomial if requests are independent. So a rate that drifts slowly does not look dispersed.
    ``spread`` and ``expected`` are the sums of the squared differences, observed and expected.
    """

    __slots__ = ("_previous", "expected", "spread")

    def __init__(
        self, spread: float = 0.0, expected: float = 0.0, previous: tuple[float, int] = (0.0, 0)
    ) -> None:
        """``previous`` is the last window: its hits and its requests."""
        self.spread = spread
        self.expected = expected
        self._previous = previous

    @property
    def previous(self) -> tuple[float, int]:
        """Hits and requests of the last window."""
        return self._previous

    @property
    def value(self) -> float:
        """Return the estimate from all windows so far, at least 1."""
        return max(1.0, (_PRIOR + self.spread) / (_PRIOR + self.expected))

    def add(self, hits: float, requests: int) -> None:
        """Add the next window."""
        if not requests:
            return
        before, requests_before = self._previous
        total = before + hits
        if total and requests_before:
            part = requests / (requests + requests_before)
            self.spread += (hits - total * part) ** 2
            self.expected += total * part * (1 - part)
        self._previous = hits, requests
