"""A sequential test of one probability: the building block of all tests in this package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

#: A float can't hold the exponential of a larger number.
_LARGEST_LOG: Final = 700.0


class Alternatives:
    """The alternative hypotheses: odds of a hit, as multiples of the odds under the null.

    Ratios above one test whether hits are more frequent than claimed, ratios below one whether they
    are rarer. Instances are hashed by identity, which makes the cache below cheap.
    """

    __slots__ = ("_ratios",)

    def __init__(self, ratios: Iterable[float]) -> None:
        # A ratio of zero would make the likelihood of one hit infinitely small.
        self._ratios = tuple((ratio - 1.0, math.log(ratio)) for ratio in ratios)

    def __len__(self) -> int:
        return len(self._ratios)

    # The tests of one window share their probability, and some probabilities never change.
    @lru_cache(maxsize=512)  # noqa: B019  the instances are a module's constants
    def terms(self, probability: float) -> tuple[tuple[float, float], ...]:
        """Return for each alternative what a hit adds to the log, and what a trial subtracts."""
        return tuple((log, math.log1p(probability * excess)) for excess, log in self._ratios)


class Mixture:
    """An e-process against "each of these trials is a hit with at most (or least) probability c".

    For k hits in n trials, the alternative with odds ratio r contributes

        log L(r) = k ln r - n ln(1 + c (r - 1)),

    the logarithm of a binomial likelihood ratio. The e-value is the mean over the alternatives of
    the product over all trials (method of mixtures). c may differ from trial to trial.

    While the null hypothesis is true, the expected e-value never exceeds one. This holds for
    independent trials, and also for trials drawn without replacement, because a convex function
    has no larger expectation there (Hoeffding 1963, theorem 4). The e-value is therefore a
    nonnegative supermartingale, and by Ville's inequality the null hypothesis may be rejected with
    an error of at most a at the first e-value of 1/a or more, at any time (Ville 1939; Howard,
    Ramdas, McAuliffe and Sekhon 2021).
    """

    __slots__ = ("_alternatives", "_log", "_logs")

    def __init__(self, alternatives: Alternatives, logs: Sequence[float] | None = None) -> None:
        """Start with an e-value of one, or continue from saved ``logs``.

        Raise ValueError unless there is one finite number for each alternative.
        """
        if logs is None:
            logs = [-math.log(len(alternatives))] * len(alternatives)
        if len(logs) != len(alternatives) or not all(map(math.isfinite, logs)):
            raise ValueError(f"{len(alternatives)} finite numbers are needed")
        self._alternatives = alternatives
        self._logs = [float(log) for log in logs]
        self._log: float | None = None

    @property
    def logs(self) -> list[float]:
        """Logarithm of each alternative's contribution; this is the complete state."""
        return list(self._logs)

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value."""
        if self._log is None:
            self._log = _log_sum(self._logs)
        return self._log

    @property
    def bound(self) -> float:
        """Upper bound of ``log``, computed without exponentials."""
        return max(self._logs) + math.log(len(self._logs))

    def add(self, hits: float, trials: int, probability: float) -> None:
        """Add later trials. ``probability`` (c) must not depend on their hits."""
        if trials:
            self._logs = [
                log + hits * per_hit - trials * per_trial
                for log, (per_hit, per_trial) in zip(
                    self._logs, self._alternatives.terms(probability), strict=True
                )
            ]
            self._log = None

    def trials_until(self, log: float, hit_ratio: float, probability: float) -> int | None:
        """Estimate how many more trials raise the e-value's logarithm to ``log``.

        ``hit_ratio`` is the ratio of them that are hits. None if it never gets there.
        """
        if self.log >= log:
            return 0
        growth = [
            hit_ratio * per_hit - per_trial
            for per_hit, per_trial in self._alternatives.terms(probability)
        ]
        if max(growth) <= 0:
            return None

        most_more = math.log(len(growth)) + 1e-9

        def reaches(trials: int) -> bool:
            logs = [each + trials * more for each, more in zip(self._logs, growth, strict=True)]
            # The greatest one alone decides, unless the sum is near.
            greatest = max(logs)
            if greatest >= log:
                return True
            return greatest + most_more >= log and _log_sum(logs) >= log

        # The logarithm is convex in the number of trials, so once reached it stays so.
        most = 1
        while not reaches(most):
            most *= 2
        least = most // 2
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (least, middle) if reaches(middle) else (middle, most)
        return most

    def limit(self, log: float) -> None:
        """Lower the e-value so that its logarithm is at most ``log``."""
        if (excess := self.log - log) > 0:
            self._logs = [each - excess for each in self._logs]
            self._log = log


def _log_sum(logs: Sequence[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(log - greatest) for log in logs))


def e_value(log: float) -> float:
    """Return the exponential of a logarithm, cut off at the largest one that fits a float."""
    return math.exp(min(log, _LARGEST_LOG))


def log_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the sum of numbers that are given as logarithms."""
    greatest = max(logs)
    return greatest + math.log(math.fsum(math.exp(log - greatest) for log in logs))
