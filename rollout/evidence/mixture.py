"""Evidence against a chance: the one test of which all others here are made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

#: exp of more does not fit a float.
_LARGEST_LOG: Final = 700.0


class Alternatives:
    """What else might hold: odds, as multiples of those that are tested.

    Above one they are evidence that hits are more frequent than claimed, below one that they are
    rarer. Compared by identity, so that a lookup costs nothing.
    """

    __slots__ = ("_ratios",)

    def __init__(self, ratios: Iterable[float]) -> None:
        # Zero would make one hit an infinity.
        self._ratios = tuple((ratio - 1.0, math.log(ratio)) for ratio in ratios)

    def __len__(self) -> int:
        return len(self._ratios)

    # The tests of one window share their chance, and some chances never change.
    @lru_cache(maxsize=512)  # noqa: B019  the instances are a module's constants
    def terms(self, chance: float) -> tuple[tuple[float, float], ...]:
        """Return for each alternative what a hit adds to the log, and what a trial takes."""
        return tuple((log, math.log1p(chance * excess)) for excess, log in self._ratios)


class Mixture:
    """An e-process against "of these trials, each is a hit with at most (or least) that chance".

    Of k hits in n trials with chance c, the alternative with odds ratio r makes

        log L(r) = k ln r - n ln(1 + c (r - 1)),

    the logarithm of a binomial likelihood ratio, and the e-value is the mean over alternatives of
    the product over all trials. Its mean never exceeds one while the claim holds, for trials that
    are independent, and for those drawn without replacement too, because no convex function has
    a larger mean then (Hoeffding 1963, theorem 4). The chance may be another each time. So it is
    a supermartingale, and the claim is refuted with an error below a at the first e-value of 1/a
    or more, with no price for looking all the time (Ville 1939; Howard, Ramdas, McAuliffe and
    Sekhon 2021).
    """

    __slots__ = ("_alternatives", "_log", "_logs")

    def __init__(self, alternatives: Alternatives, logs: Sequence[float] | None = None) -> None:
        """Start at one, or continue from ``logs``; raise ValueError if they can't be that."""
        if logs is None:
            logs = [-math.log(len(alternatives))] * len(alternatives)
        if len(logs) != len(alternatives) or not all(map(math.isfinite, logs)):
            raise ValueError(f"{len(alternatives)} finite numbers are needed")
        self._alternatives = alternatives
        self._logs = [float(log) for log in logs]
        self._log: float | None = None

    @property
    def logs(self) -> list[float]:
        """Logarithm of each alternative's part: all there is to save."""
        return list(self._logs)

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value."""
        if self._log is None:
            greatest = max(self._logs)
            self._log = greatest + math.log(sum(math.exp(log - greatest) for log in self._logs))
        return self._log

    @property
    def bound(self) -> float:
        """A number that ``log`` never exceeds, had without any exponentials."""
        return max(self._logs) + math.log(len(self._logs))

    def add(self, hits: int, trials: int, chance: float) -> None:
        """Take in trials that come after all others; ``chance`` was fixed without their hits."""
        if trials:
            self._logs = [
                log + hits * gain - trials * toll
                for log, (gain, toll) in zip(
                    self._logs, self._alternatives.terms(chance), strict=True
                )
            ]
            self._log = None


def e_value(log: float) -> float:
    """Return what a logarithm stands for, as far as floats go: never infinite."""
    return math.exp(min(log, _LARGEST_LOG))
