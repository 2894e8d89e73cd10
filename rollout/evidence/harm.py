"""The sequential test of one kind of harm: failures, or answers slower than one threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .dispersion import Dispersion
from .excess import Excess
from .incident import USUAL, Span, bounded

#: From a third worse than the margin to hundred times worse. Between two of them a few percent of
#: the growth are lost. Each further alternative would take a part of the weight of all others.
RATIOS: Final = tuple(1.35 * 1.75**power for power in range(9))
_LOG_RATIOS: Final = tuple(math.log(ratio) for ratio in RATIOS)
#: Half of the weight is on harm from the first window on. The other half is divided among later
#: beginnings, one every 30 s for a day, in proportion to 1, 1/2, 1/3 and so on.
_FROM_START: Final = 0.5
_BEGIN_SECONDS: Final = 30.0
_BEGINNINGS: Final = 2880
_HARMONIC: Final = math.fsum(1 / n for n in range(1, _BEGINNINGS + 1))

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

    The e-value is the mean over the alternatives and over the times at which harm may have begun,
    as in Shin, Ramdas and Rinaldo (2022): before it begins, a factor is 1.
    """

    __slots__ = (
        "_begun_at",
        "_dispersion",
        "_excess",
        "_hits",
        "_leanings",
        "_log",
        "_logs",
        "_requests",
        "_rest",
        "_span",
        "_times",
    )

    def __init__(self) -> None:
        """Start with an e-value of one."""
        self._logs = [math.log(_FROM_START / len(RATIOS))] * len(RATIOS)
        self._rest = 1.0 - _FROM_START
        self._times = 0
        self._begun_at = -math.inf
        self._dispersion = Dispersion()
        self._span = Span()
        self._excess = Excess()
        self._leanings = [0.0] * len(RATIOS)
        self._hits = 0.0
        self._requests = 0
        self._log: float | None = None

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value, or that of the excess of all hits if it is smaller."""
        return min(self._raw_log, EXCESS_POWER * self._excess.log)

    @property
    def _raw_log(self) -> float:
        if self._log is None:
            greatest = max(self._logs)
            total = math.fsum(math.exp(log - greatest) for log in self._logs)
            self._log = _add(greatest + math.log(total), self._rest)
        return self._log

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
        self._begin(times[0])
        if requests and old_requests and (hits or others):
            share = max(requests / (requests + old_requests), least_share)
            chance = share * margin / (share * margin + 1 - share)
            counted = self._span.add(hits, requests, times, ratio, USUAL * margin)
            power = 1.0 / self._dispersion.value
            self._logs = [
                log
                + power
                * (counted * per_hit - (counted + others) * math.log1p(chance * (alternative - 1)))
                for log, per_hit, alternative in zip(self._logs, _LOG_RATIOS, RATIOS, strict=True)
            ]
            allowed = math.sqrt(margin) if margin > 2 else 1.0
            level = share * allowed / (share * allowed + 1 - share)
            self._leanings = [
                max(
                    0.0,
                    log
                    + power
                    * (counted * per_hit - (counted + others) * math.log1p(level * (ratio - 1))),
                )
                for log, per_hit, ratio in zip(self._leanings, _LOG_RATIOS, RATIOS, strict=True)
            ]
            self._log = None
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

    def _begin(self, now: float) -> None:
        """Let the harm begin now, with a part of the weight."""
        if now < self._begun_at + _BEGIN_SECONDS or self._times >= _BEGINNINGS:
            return
        self._begun_at = now
        self._times += 1
        weight = (1 - _FROM_START) / _HARMONIC / self._times
        self._rest = max(0.0, self._rest - weight)
        self._logs = [_add(log, weight / len(RATIOS)) for log in self._logs]
        self._log = None

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "logs": self._logs,
            "leanings": self._leanings,
            "rest": self._rest,
            "times": self._times,
            "begun_at": None if self._begun_at == -math.inf else self._begun_at,
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
    def load(cls, dumped: Mapping[str, Any]) -> HarmTest:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        logs = [float(log) for log in dumped["logs"]]
        if len(logs) != len(RATIOS) or not all(map(math.isfinite, logs)):
            raise ValueError(f"{len(RATIOS)} finite numbers are needed")
        test = cls()
        test._logs = logs
        test._leanings = [float(log) for log in dumped["leanings"]]
        test._rest = float(dumped["rest"])
        test._times = int(dumped["times"])
        begun_at = dumped["begun_at"]
        test._begun_at = -math.inf if begun_at is None else float(begun_at)
        spread, expected, (hits, requests) = dumped["dispersion"]
        test._dispersion = Dispersion(spread, expected, (hits, requests))
        test._span = Span.load(dumped["span"])
        (hits, requests), (more, later) = dumped["before"]
        test._excess = Excess((hits, requests), (more, later))
        test._hits = float(dumped["hits"])
        test._requests = int(dumped["requests"])
        return test


def _add(log: float, more: float) -> float:
    """Return the logarithm of exp(log) + more."""
    if more <= 0:
        return log
    other = math.log(more)
    greatest = max(log, other)
    return greatest + math.log1p(math.exp(-abs(log - other)))
