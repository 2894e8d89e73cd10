"""The sequential test of one kind of harm: failures, or answers slower than one threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .beginnings import Beginnings
from .dispersion import Dispersion
from .excess import Excess
from .incident import USUAL, Span, bounded

#: From a third worse than the margin to hundred times worse. Between two of them a few percent of
#: the growth are lost. Each further alternative would take a part of the weight of all others.
RATIOS: Final = tuple(1.35 * 1.75**power for power in range(9))
_LOG_RATIOS: Final = tuple(math.log(ratio) for ratio in RATIOS)
_EXCESSES: Final = tuple(ratio - 1 for ratio in RATIOS)
#: Half of the weight is on harm from the first window on.
_FROM_START: Final = 0.5

#: The excess of all hits needs less evidence: it is asked for in addition.
EXCESS_POWER: Final = 3.0
#: At these logarithms of a likelihood ratio, with no margin, the canary is suspect.
_LEANS: Final = 3.0
_EXCEEDS: Final = 1.5


class HarmTest:
    """An e-process against "the canary's odds of a hit are at most ``margin`` times the others'".

    A hit is a request that failed, or was slow. Of the n hits in a window, k are the canary's. If
    the odds are as large as the null hypothesis allows, each hit is the canary's with probability
    c = w m / (w m + 1 - w), for its share w of the requests and the margin m (the mean of Fisher's
    noncentral hypergeometric distribution is at most that). The alternative "r m times the odds"
    contributes the power 1/d of

        r^k / (1 + c (r - 1))^n.

    d is the index of dispersion of the other release's hits in all earlier windows. A power of at
    most 1 keeps the expectation at most 1 (E[X^a] <= E[X]^a, Jensen 1906), so it only makes the
    test slower where requests are independent; where hits come d at a time it makes it right. k is
    bounded by what one incident may hit, see ``incident``; fewer hits make it smaller.

    The e-value is the mean over the alternatives and over the times at which harm may have begun.
    """

    __slots__ = (
        "_beginnings",
        "_brief",
        "_dispersion",
        "_excess",
        "_hits",
        "_leanings",
        "_requests",
        "_span",
    )

    def __init__(self, *, brief: bool = False) -> None:
        """Start with an e-value of one. ``brief``: see ``Span.add``."""
        self._brief = brief
        self._beginnings = Beginnings(len(RATIOS), _FROM_START)
        self._dispersion = Dispersion()
        self._span = Span()
        self._excess = Excess()
        self._leanings = [0.0] * len(RATIOS)
        self._hits = 0.0
        self._requests = 0

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value, or that of the excess of all hits if it is smaller."""
        return min(self._beginnings.log, EXCESS_POWER * self._excess.log)

    @property
    def suspect(self) -> bool:
        """Return True if the canary looks worse of late: a cumulative sum without a margin."""
        return max(self._leanings) > _LEANS and self._excess.log > _EXCEEDS

    @property
    def dispersion(self) -> float:
        """Index of dispersion of the old release's hits."""
        return self._dispersion.value

    def add(
        self,
        canary: tuple[int, int],
        old: tuple[int, int],
        times: tuple[float, float],
        margin: float,
        least_share: float = 0.0,
        *,
        before: bool = False,
    ) -> None:
        """Add a window: hits and requests of both releases, and its times in Unix seconds.

        ``least_share`` is a lower bound of the canary's share while hits occurred. ``before`` is
        True while the canary should have no requests, or very few.
        """
        hits, requests = canary
        others, old_requests = old
        ratio = self._hits / self._requests if self._requests else 0.0
        self._beginnings.begin(times[0])
        if requests and old_requests and (hits or others):
            share = max(requests / (requests + old_requests), least_share)
            chance = share * margin / (share * margin + 1 - share)
            counted = self._span.add(
                hits, requests, times, ratio, USUAL * margin, brief=self._brief
            )
            power = 1.0 / self._dispersion.value
            # This is most of a simulation's time, so nothing is computed twice.
            hits_of_both = counted + others
            own = [counted * per_hit for per_hit in _LOG_RATIOS]
            self._beginnings.add(
                [
                    power * (gain - hits_of_both * math.log1p(chance * more))
                    for gain, more in zip(own, _EXCESSES, strict=True)
                ]
            )
            allowed = math.sqrt(margin) if margin > 2 else 1.0
            level = share * allowed / (share * allowed + 1 - share)
            leanings = [
                log + power * (gain - hits_of_both * math.log1p(level * more))
                for log, gain, more in zip(self._leanings, own, _EXCESSES, strict=True)
            ]
            self._leanings = [log if log > 0 else 0.0 for log in leanings]
        if requests:
            worse = max(self._leanings) > 0
            self._excess.add(hits + others, requests + old_requests, worse=worse)
        if before:
            self._excess.add_before(others, old_requests)
        if old_requests:
            usual = bounded(others, ratio * old_requests, math.inf)
            self._dispersion.add(usual, old_requests)
            self._hits += usual
            self._requests += old_requests

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            **self._beginnings.dump(),
            "leanings": self._leanings,
            "dispersion": [
                self._dispersion.spread,
                self._dispersion.expected,
                list(self._dispersion.previous),
            ],
            "span": self._span.dump(),
            "before": [list(self._excess.before), list(self._excess.now)],
            "hits": self._hits,
            "requests": self._requests,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any], *, brief: bool = False) -> HarmTest:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        test = cls(brief=brief)
        test._beginnings = Beginnings.load(len(RATIOS), _FROM_START, dumped)
        test._leanings = [float(log) for log in dumped["leanings"]]
        spread, expected, (hits, requests) = dumped["dispersion"]
        test._dispersion = Dispersion(spread, expected, (hits, requests))
        test._span = Span.load(dumped["span"])
        (hits, requests), (more, later) = dumped["before"]
        test._excess = Excess((hits, requests), (more, later))
        test._hits = float(dumped["hits"])
        test._requests = int(dumped["requests"])
        return test
