"""Evidence of harm that may have begun at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Later beginnings, one every 30 s for a day, share their weight in proportion to 1, 1/2, 1/3 ….
_BEGIN_SECONDS: Final = 30.0
_BEGINNINGS: Final = 2880
_HARMONIC: Final = math.fsum(1 / n for n in range(1, _BEGINNINGS + 1))


class Beginnings:
    """The mean e-value over a few alternatives, and over the times at which harm may have begun.

    As in Shin, Ramdas and Rinaldo (2022): before the harm begins, a factor is 1. ``from_start`` is
    the weight of harm from the first window on; the rest is divided among later beginnings.
    """

    __slots__ = ("_begun_at", "_from_start", "_log", "_logs", "_rest", "_times")

    def __init__(self, alternatives: int, from_start: float) -> None:
        """Start with an e-value of one."""
        self._from_start = from_start
        first = math.log(from_start / alternatives) if from_start else -math.inf
        self._logs = [first] * alternatives
        self._rest = 1.0 - from_start
        self._times = 0
        self._begun_at = -math.inf
        self._log: float | None = None

    @property
    def log(self) -> float:
        """Natural logarithm of the e-value."""
        if self._log is None:
            greatest = max(self._logs)
            if greatest == -math.inf:
                return math.log(self._rest)
            total = math.fsum(math.exp(log - greatest) for log in self._logs)
            self._log = _add(greatest + math.log(total), self._rest)
        return self._log

    def begin(self, now: float) -> None:
        """Let the harm begin now (Unix seconds), with a part of the weight."""
        if now < self._begun_at + _BEGIN_SECONDS or self._times >= _BEGINNINGS:
            return
        self._begun_at = now
        self._times += 1
        weight = (1 - self._from_start) / _HARMONIC / self._times
        self._rest = max(0.0, self._rest - weight)
        self._logs = [_add(log, weight / len(self._logs)) for log in self._logs]
        self._log = None

    def add(self, gains: Sequence[float]) -> None:
        """Multiply each alternative's e-value by a window's likelihood ratio, given as a log."""
        self._logs = [log + gain for log, gain in zip(self._logs, gains, strict=True)]
        self._log = None

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "logs": [None if log == -math.inf else log for log in self._logs],
            "rest": self._rest,
            "times": self._times,
            "begun_at": None if self._begun_at == -math.inf else self._begun_at,
        }

    @classmethod
    def load(cls, alternatives: int, from_start: float, dumped: Mapping[str, Any]) -> Beginnings:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        logs = [-math.inf if log is None else float(log) for log in dumped["logs"]]
        if len(logs) != alternatives or any(math.isnan(log) or log == math.inf for log in logs):
            raise ValueError(f"{alternatives} finite numbers are needed")
        test = cls(alternatives, from_start)
        test._logs = logs
        test._rest = float(dumped["rest"])
        test._times = int(dumped["times"])
        begun_at = dumped["begun_at"]
        test._begun_at = -math.inf if begun_at is None else float(begun_at)
        return test


def _add(log: float, more: float) -> float:
    """Return the logarithm of exp(log) + more."""
    if more <= 0:
        return log
    other = math.log(more)
    greatest, least = max(log, other), min(log, other)
    return greatest + math.log1p(math.exp(least - greatest))
