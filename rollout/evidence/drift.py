"""Whether the canary has become slower than it was, beside the old release, at the same share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .beginnings import Beginnings

#: Windows are gathered in blocks of so many seconds.
_BLOCK_SECONDS: Final = 30.0
#: So many of the last blocks are judged. The reference is what came before, at least as long as
#: this, because pods get faster while they are young.
_JUDGED: Final = 10
_LEAST_REFERENCE_SECONDS: Final = 600.0
#: The reference is uncertain by so many standard errors, and what may change is this ratio of odds.
_ERRORS: Final = 3.0
_CHANGE: Final = 1.03
#: Pods with other load have other latencies. So nothing is judged while there are more, or fewer,
#: requests than before by this factor.
_LOAD: Final = 1.33
#: Odds of a slow answer, as multiples of what they may be.
_RATIOS: Final = (1.25, 1.6)
_NO_TIME: Final = (math.inf, -math.inf)
#: As if so many blocks had been seen that vary as independent requests do.
_PRIOR: Final = 2.0


@dataclass(slots=True)
class _Block:
    """Answers of both releases, and those slower than each threshold."""

    seconds: float = 0.0
    canary: int = 0
    old: int = 0
    canary_slow: list[int] = field(default_factory=list)
    old_slow: list[int] = field(default_factory=list)

    def add(self, other: _Block) -> None:
        self.seconds += other.seconds
        self.canary += other.canary
        self.old += other.old
        self.canary_slow = _sum(self.canary_slow, other.canary_slow)
        self.old_slow = _sum(self.old_slow, other.old_slow)

    def dump(self) -> dict[str, Any]:
        # Each window saves a dozen of these, and dataclasses.asdict copies every number for itself.
        return {
            "seconds": self.seconds,
            "canary": self.canary,
            "old": self.old,
            "canary_slow": list(self.canary_slow),
            "old_slow": list(self.old_slow),
        }

    @property
    def rate(self) -> float:
        return (self.canary + self.old) / self.seconds if self.seconds else 0.0

    def log_odds(self, index: int) -> tuple[float, float]:
        """Return how much larger the canary's log odds of a slow answer are; its squared error."""
        cells = (
            self.canary_slow[index] + 0.5,
            self.canary - self.canary_slow[index] + 0.5,
            self.old_slow[index] + 0.5,
            self.old - self.old_slow[index] + 0.5,
        )
        own, own_rest, old, old_rest = cells
        return math.log(own * old_rest / own_rest / old), math.fsum(1 / each for each in cells)


class Drift:
    """An e-process against "the canary is as fast, beside the old release, as it was".

    Pods differ in speed, by more than a quarter in some places, so a canary that is a quarter
    slower from the start is not told from one that has a slow pod. But a pod's own speed does not
    change by itself, and what both releases share slows both. So the odds of a slow answer, as
    multiples of the old release's, are compared with the same multiple some minutes ago.

    The threshold is the one that nearly half of the answers exceeded. Each of the canary's answers
    in a window is a trial whose chance follows from the old release's ratio in the same window.
    That ratio is uncertain, as the canary's own is: the power 1 - w, for the canary's share w,
    makes up for it (in the limit of many requests). A further power is the reciprocal of how much
    more the canary's earlier blocks varied than independent answers do.
    """

    __slots__ = (
        "_beginnings",
        "_block",
        "_judged",
        "_reference",
        "_share",
        "_spread",
        "_times",
        "_varied",
    )

    def __init__(self, edges: int) -> None:
        """Start with an e-value of one; ``edges`` is the number of latency thresholds."""
        self._beginnings = Beginnings(len(_RATIOS), 0.0)
        self._begin_step(None, edges)

    def _begin_step(self, share: float | None, edges: int) -> None:
        self._share = share
        self._reference = _empty(edges)
        self._judged: list[_Block] = []
        self._block = _empty(edges)
        self._times = _NO_TIME
        self._spread, self._varied = 0.0, 0

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value."""
        return self._beginnings.log

    def add(
        self,
        canary: Sequence[tuple[int, int]],
        old: Sequence[tuple[int, int]],
        times: tuple[float, float],
        share: float | None,
    ) -> None:
        """Add a window: for each threshold the slow answers and all answers of both releases.

        ``share`` is the canary's desired share. A window without one is left out; another one
        begins anew.
        """
        if share is None or not canary:
            return
        if share != self._share:
            self._begin_step(share, len(canary))
        window = _Block(
            0.0,
            canary[0][1],
            old[0][1],
            [slow for slow, _ in canary],
            [slow for slow, _ in old],
        )
        if self._reference.seconds >= _LEAST_REFERENCE_SECONDS and self._is_alike:
            self._judge(window, times[0])
        self._gather(window, times)

    @property
    def _is_alike(self) -> bool:
        """True if the load is about what it was."""
        now, before = _empty(len(self._block.canary_slow)), self._reference.rate
        for each in self._judged:
            now.add(each)
        return before / _LOAD <= now.rate <= before * _LOAD

    @property
    def _index(self) -> int:
        """The threshold that nearly half of the old release's answers exceeded."""
        half = self._reference.old / 2
        slow = self._reference.old_slow
        return min(range(len(slow)), key=lambda index: abs(slow[index] - half))

    def _judge(self, window: _Block, now: float) -> None:
        self._beginnings.begin(now)
        if not window.canary or not window.old:
            return
        index = self._index
        difference, variance = self._reference.log_odds(index)
        allowed = difference + _ERRORS * math.sqrt(variance) + math.log(_CHANGE)
        chance = _chance(window, index, allowed)
        varied = max(1.0, (_PRIOR + self._spread) / (_PRIOR + self._varied))
        power = window.old / (window.old + window.canary) / varied
        slow, answers = window.canary_slow[index], window.canary
        self._beginnings.add(
            [
                power * (slow * math.log(ratio) - answers * math.log1p(chance * (ratio - 1)))
                for ratio in _RATIOS
            ]
        )

    def _gather(self, window: _Block, times: tuple[float, float]) -> None:
        # Windows of proxies overlap, so their lengths do not add up to the time.
        self._block.add(window)
        since, until = self._times
        self._times = min(since, times[0]), max(until, times[1])
        self._block.seconds = self._times[1] - self._times[0]
        if self._block.seconds < _BLOCK_SECONDS:
            return
        self._judged.append(self._block)
        self._block = _empty(len(window.canary_slow))
        self._times = _NO_TIME
        if len(self._judged) > _JUDGED:
            self._refer(self._judged.pop(0))

    def _refer(self, block: _Block) -> None:
        if self._reference.seconds >= _LEAST_REFERENCE_SECONDS and block.canary and block.old:
            index = self._index
            chance = _chance(block, index, self._reference.log_odds(index)[0])
            variance = block.canary * chance * (1 - chance) * (1 + block.canary / block.old)
            self._spread += (block.canary_slow[index] - block.canary * chance) ** 2 / variance
            self._varied += 1
        self._reference.add(block)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "beginnings": self._beginnings.dump(),
            "share": self._share,
            "reference": self._reference.dump(),
            "judged": [each.dump() for each in self._judged],
            "block": self._block.dump(),
            "times": None if self._times == _NO_TIME else list(self._times),
            "spread": self._spread,
            "varied": self._varied,
        }

    @classmethod
    def load(cls, edges: int, dumped: Mapping[str, Any]) -> Drift:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        drift = cls(edges)
        drift._beginnings = Beginnings.load(len(_RATIOS), 0.0, dumped["beginnings"])
        drift._share = dumped["share"]
        drift._reference = _Block(**dumped["reference"])
        drift._judged = [_Block(**each) for each in dumped["judged"]]
        drift._block = _Block(**dumped["block"])
        if dumped["times"] is not None:
            since, until = dumped["times"]
            drift._times = since, until
        drift._spread, drift._varied = float(dumped["spread"]), int(dumped["varied"])
        return drift


def _chance(block: _Block, index: int, log_odds: float) -> float:
    """Return the canary's chance of a slow answer, if its odds are such a multiple of the old."""
    old = (block.old_slow[index] + 0.5) / (block.old + 1)
    odds = old / (1 - old) * math.exp(log_odds)
    return odds / (1 + odds)


def _empty(edges: int) -> _Block:
    return _Block(0.0, 0, 0, [0] * edges, [0] * edges)


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [each + more for each, more in zip(one, other, strict=True)]
