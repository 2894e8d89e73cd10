"""The four sequential tests of one rollout: harm, merit, breach and mismatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .counts import Counts, Window, check_counts, check_window
from .mixture import Alternatives, Mixture, e_value
from .objective import Objective, check_objective

#: The largest probability of ever reporting a mismatch for a split that is as desired.
FALSE_MISMATCH: Final = 0.001
#: The ratio of requests that may go to the release which should get none.
MISROUTED_RATIO: Final = 0.002

#: How ``false_rollback`` is divided. The weighted mean of e-values is an e-value whatever their
#: dependence, so the error probability of the whole stays within ``false_rollback``. Errors get
#: most, because they hurt users most. The latency thresholds share theirs equally, because nobody
#: knows beforehand which of them will show a difference; without thresholds errors get their
#: weight. Half a weight costs ln 2 / ln(1/a) more evidence: a seventh for a = 1 %.
ERRORS_WEIGHT: Final = 0.6
SLOW_WEIGHT: Final = 0.3
BREACH_WEIGHT: Final = 0.1

#: From a third worse to fifty times worse. Between two of them a few percent of the growth are
#: lost. Beyond the last nothing important is lost, because such harm is obvious. Each further
#: alternative would take a part of the weight of all others.
_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))
#: The first one stands for a release that never fails.
_BETTER: Final = Alternatives((0.001, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9))
_OTHER_SPLIT: Final = Alternatives(
    math.exp(sign * 0.02 * 2**power) for power in range(9) for sign in (-1, 1)
)
_FORMAT: Final = 1


class Evidence:
    """The evidence from all windows of one rollout; it is not reset between steps.

    See the package's docstring for the hypotheses and assumptions. E-values are kept as
    logarithms. The times of a window are not used.
    """

    def __init__(self, objective: Objective) -> None:
        """Start without observations. Raise ValueError, which names the field of ``objective``."""
        check_objective(objective)
        edges = len(objective.slow_seconds)
        self.objective: Final = objective
        self._errors = Mixture(_WORSE)
        self._slow = [Mixture(_WORSE) for _ in range(edges)]
        self._merit = Mixture(_BETTER)
        self._breach = Mixture(_WORSE)
        self._mismatch = Mixture(_OTHER_SPLIT)
        self._misrouted = Mixture(_WORSE)
        self._stable = self._canary = Counts(0, 0, (0,) * edges)

    def observe(self, window: Window, share: float | None, *, split: bool = True) -> None:
        """Add a window, which must not overlap an earlier one.

        ``share`` is the ratio of all requests that the canary should have received during the whole
        window, 0 to 1. It is None if requests were not split by weight, or if the weights changed
        within the window. ``split`` is False if clients may also choose a release themselves, as
        with a preview; the split is then not tested. Raise ValueError, which names the field, for
        a window that is impossible.
        """
        check_window(window, share, len(self._slow))
        stable, canary = window.stable, window.canary
        self._stable += stable
        self._canary += canary
        if window.requests:
            self._compare(stable, canary)
        self._merit.add(canary.failures, canary.requests, self.objective.error_ratio)
        if share == 1:
            # Only if stable gets no requests. While it does, the canary is compared with it, so
            # that an outage of both releases is not held against the canary.
            self._breach.add(canary.failures, canary.requests, self.objective.error_ratio)
        if share is not None and split:
            self._check_split(stable.requests, canary.requests, share)

    def _compare(self, stable: Counts, canary: Counts) -> None:
        # Given the number of failed requests in the window, the number of them that belong to the
        # canary is hypergeometric if the canary is as good as stable, and smaller if it is better.
        # The observed share is used. So it may differ from the desired share and may change, which
        # the sequential tests of Lindon and Malek (2022) do not allow.
        share = canary.requests / (stable.requests + canary.requests)
        self._errors.add(canary.failures, stable.failures + canary.failures, share)
        for mixture, old, new in zip(self._slow, stable.slow, canary.slow, strict=True):
            mixture.add(new, old + new, share)

    def _check_split(self, stable: int, canary: int, share: float) -> None:
        if 0 < share < 1:
            self._mismatch.add(canary, stable + canary, share)
        else:
            # Requests that started before the weights changed end after the change. A few of them
            # are no mismatch.
            self._misrouted.add(canary if share == 0 else stable, stable + canary, MISROUTED_RATIO)

    @property
    def stable(self) -> Counts:
        """Sum of all windows of the stable release."""
        return self._stable

    @property
    def canary(self) -> Counts:
        """Sum of all windows of the canary."""
        return self._canary

    @property
    def harm(self) -> float:
        """Return the weighted mean of the error and latency e-values.

        It starts at 0.9, because 0.1 of ``false_rollback`` is reserved for ``breach``.
        """
        return e_value(self._log_harm)

    @property
    def harm_errors(self) -> float:
        """Return the e-value against the null hypothesis "never fails more often than stable"."""
        return e_value(self._errors.log)

    @property
    def harm_slow(self) -> dict[float, float]:
        """Return, for each latency threshold in seconds, the e-value against "never slower"."""
        return {
            edge: e_value(mixture.log)
            for edge, mixture in zip(self.objective.slow_seconds, self._slow, strict=True)
        }

    @property
    def worst(self) -> str:
        """Return the largest part of ``harm``: ``errors``, or a threshold such as ``0.25s``."""
        parts = self._harm_parts
        greatest = max(range(len(parts)), key=parts.__getitem__)
        return f"{self.objective.slow_seconds[greatest - 1]:g}s" if greatest else "errors"

    @property
    def merit(self) -> float:
        """Return the e-value against "the canary fails ``error_ratio`` of its requests or more".

        Even without failures, it takes ln(false_promotion) / ln(1 - error_ratio) requests or more:
        299 for an error ratio of 1 % and a false promotion of 5 %.
        """
        return e_value(self._merit.log)

    @property
    def breach(self) -> float:
        """Return the e-value against "with all traffic, it fails at most ``error_ratio``"."""
        return e_value(self._breach.log)

    @property
    def mismatch(self) -> float:
        """Return the e-value against "the split is as desired, but for a few requests"."""
        return e_value(self._log_mismatch)

    @property
    def harmful(self) -> bool:
        """Return True if the canary is worse than stable: ``harm`` >= 1/false_rollback."""
        threshold = -math.log(self.objective.false_rollback)
        # A mean never exceeds its greatest part. This cheap check decides nearly all windows.
        if max(mixture.bound for mixture in (self._errors, *self._slow)) < threshold:
            return False
        return self._log_harm >= threshold

    @property
    def breached(self) -> bool:
        """Return True at ``breach`` >= 1/(BREACH_WEIGHT * false_rollback): an SLO violation."""
        log = self._breach.log + math.log(BREACH_WEIGHT)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def proven(self) -> bool:
        """Return True if the canary meets the objective: ``merit`` >= 1/false_promotion."""
        return self._merit.log >= -math.log(self.objective.false_promotion)

    @property
    def mismatched(self) -> bool:
        """Return True if requests are not split as desired: ``mismatch`` >= 1/FALSE_MISMATCH."""
        return self._log_mismatch >= -math.log(FALSE_MISMATCH)

    @property
    def _log_mismatch(self) -> float:
        one, other = self._mismatch.log, self._misrouted.log
        greatest = max(one, other)
        return greatest + math.log((math.exp(one - greatest) + math.exp(other - greatest)) / 2)

    @property
    def _harm_parts(self) -> list[float]:
        edges = len(self._slow)
        errors = ERRORS_WEIGHT if edges else ERRORS_WEIGHT + SLOW_WEIGHT
        return [
            self._errors.log + math.log(errors),
            *(mixture.log + math.log(SLOW_WEIGHT / edges) for mixture in self._slow),
        ]

    @property
    def _log_harm(self) -> float:
        parts = self._harm_parts
        greatest = max(parts)
        return greatest + math.log(sum(math.exp(part - greatest) for part in parts))

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON. ``load`` restores it without rounding."""
        return {
            "format": _FORMAT,
            "objective": _objective_fields(self.objective),
            "stable": _dump_counts(self._stable),
            "canary": _dump_counts(self._canary),
            "errors": self._errors.logs,
            "slow": [mixture.logs for mixture in self._slow],
            "merit": self._merit.logs,
            "breach": self._breach.logs,
            "mismatch": self._mismatch.logs,
            "strays": self._misrouted.logs,
        }

    @classmethod
    def load(cls, objective: Objective, dumped: Mapping[str, Any]) -> Evidence:
        """Restore what ``dump`` returned; raise ValueError if it belongs to another objective."""
        if dumped.get("format") != _FORMAT:
            raise ValueError("format: another version wrote it")
        if dumped.get("objective") != _objective_fields(objective):
            raise ValueError("objective: the evidence belongs to another objective")
        evidence = cls(objective)
        edges = len(objective.slow_seconds)
        try:
            evidence._stable = _load_counts("stable", dumped["stable"], edges)
            evidence._canary = _load_counts("canary", dumped["canary"], edges)
            evidence._errors = Mixture(_WORSE, dumped["errors"])
            evidence._slow = [Mixture(_WORSE, logs) for logs in dumped["slow"]]
            evidence._merit = Mixture(_BETTER, dumped["merit"])
            evidence._breach = Mixture(_WORSE, dumped["breach"])
            evidence._mismatch = Mixture(_OTHER_SPLIT, dumped["mismatch"])
            evidence._misrouted = Mixture(_WORSE, dumped["strays"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no saved evidence: {error!r}") from error
        if len(evidence._slow) != edges:
            raise ValueError(f"slow: must have {edges} parts, one for each latency threshold")
        return evidence


def _objective_fields(objective: Objective) -> dict[str, Any]:
    return {
        "error_ratio": objective.error_ratio,
        "slow_seconds": list(objective.slow_seconds),
        "false_rollback": objective.false_rollback,
        "false_promotion": objective.false_promotion,
    }


def _dump_counts(counts: Counts) -> dict[str, Any]:
    return {"requests": counts.requests, "failures": counts.failures, "slow": list(counts.slow)}


def _load_counts(arm: str, dumped: Mapping[str, Any], edges: int) -> Counts:
    counts = Counts(dumped["requests"], dumped["failures"], tuple(dumped["slow"]))
    check_counts(arm, counts, edges)
    return counts
