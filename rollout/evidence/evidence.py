"""All evidence of one rollout: harm, merit, breach of the objective, a split that is not ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .counts import Counts, Window
from .mixture import Alternatives, Mixture, e_value
from .objective import Objective
from .validation import check_counts, check_objective, check_window

#: The chance that a split which is as desired is ever taken for another.
FALSE_MISMATCH: Final = 0.001
#: The share of requests that may go to the release which is to get none.
STRAYS: Final = 0.002

#: How ``false_rollback`` is shared out, by weights of a mean, which keeps it whatever depends on
#: what: a mean of e-values is one. Errors get most, as they hurt most; the edges share theirs
#: equally, as nobody knows beforehand which will tell. A plan without edges gives it to errors.
#: Half a share costs a verdict ln 2 / ln(1/a) more evidence: a seventh at 1 %.
ERRORS_SHARE: Final = 0.6
SLOW_SHARE: Final = 0.3
BREACH_SHARE: Final = 0.1

#: From a third worse to fifty times. Between two of them a few percent of the growth are lost;
#: beyond the last nothing that counts, as such harm is plain; and each more costs all the others
#: some of their part.
_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))
#: The first stands for a release that never fails.
_BETTER: Final = Alternatives((0.001, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9))
_ELSEWHERE: Final = Alternatives(
    math.exp(sign * 0.02 * 2**power) for power in range(9) for sign in (-1, 1)
)
_FORMAT: Final = 1


class Evidence:
    """What the windows of one rollout prove; made once for it and never reset by a step.

    The parts are e-values: each has a mean of at most one as long as what it is against is true,
    at whatever times it is looked at, and so exceeds 1/a with a chance of at most a, ever. Kept
    as logarithms; the time of a window is not used, only that no request is in two of them.

    What is assumed: within one window, a request's arm has nothing to do with its fate but by
    the release that answers. Rates, weights and traffic may drift from window to window as they
    like, and outages of what both releases share harm neither. A window should therefore not
    hold a change of weights, and its arms must be counted over the same time.
    """

    def __init__(self, objective: Objective) -> None:
        """Begin with nothing seen; raise ValueError, which names the field."""
        check_objective(objective)
        edges = len(objective.slow_seconds)
        self.objective: Final = objective
        self._errors = Mixture(_WORSE)
        self._slow = [Mixture(_WORSE) for _ in range(edges)]
        self._merit = Mixture(_BETTER)
        self._breach = Mixture(_WORSE)
        self._mismatch = Mixture(_ELSEWHERE)
        self._strays = Mixture(_WORSE)
        self._stable = self._canary = Counts(0, 0, (0,) * edges)

    def observe(self, window: Window, share: float | None, *, split: bool = True) -> None:
        """Take in a window that overlaps none before; raise ValueError, which names the field.

        ``share`` is the canary's of all requests as it was desired all through the window, 0 to
        1; None if requests were not split by weight, or by another one in a part of the window.
        ``split`` is False where some may also choose their release, as previews do: then the
        split says nothing.
        """
        check_window(window, share, len(self._slow))
        stable, canary = window.stable, window.canary
        self._stable += stable
        self._canary += canary
        if window.requests:
            self._compare(stable, canary)
        self._merit.add(canary.failures, canary.requests, self.objective.error_ratio)
        if share == 1:
            # Only where nothing is left to compare with: what fails while the old release
            # answers too is judged beside it, and an outage of both is no fault of this one.
            self._breach.add(canary.failures, canary.requests, self.objective.error_ratio)
        if share is not None and split:
            self._check_split(stable.requests, canary.requests, share)

    def _compare(self, stable: Counts, canary: Counts) -> None:
        # Given how many of the window's requests are bad, how many of those are the canary's is
        # hypergeometric if it is as good as stable, with fewer if it is better. The share is the
        # observed one, so it need not be the desired one, nor stay what it was, as it must for
        # the sequential tests of Lindon and Malek (2022).
        share = canary.requests / (stable.requests + canary.requests)
        self._errors.add(canary.failures, stable.failures + canary.failures, share)
        for mixture, old, new in zip(self._slow, stable.slow, canary.slow, strict=True):
            mixture.add(new, old + new, share)

    def _check_split(self, stable: int, canary: int, share: float) -> None:
        if 0 < share < 1:
            self._mismatch.add(canary, stable + canary, share)
        else:
            # A request that was sent on before the change ends after it: a few prove nothing.
            self._strays.add(canary if share == 0 else stable, stable + canary, STRAYS)

    @property
    def stable(self) -> Counts:
        """All that was seen of the release that serves already."""
        return self._stable

    @property
    def canary(self) -> Counts:
        """All that was seen of the release that comes."""
        return self._canary

    @property
    def harm(self) -> float:
        """Return the e-value against "never more errors nor slow answers than stable then".

        A mean of the parts, in which that of a breach counts as nothing: it begins at 0.9.
        """
        return e_value(self._log_harm)

    @property
    def harm_errors(self) -> float:
        """Return the e-value against "never more errors than stable at the same time"."""
        return e_value(self._errors.log)

    @property
    def harm_slow(self) -> dict[float, float]:
        """Return for each latency edge, in seconds, the e-value against "never more beyond it"."""
        return {
            edge: e_value(mixture.log)
            for edge, mixture in zip(self.objective.slow_seconds, self._slow, strict=True)
        }

    @property
    def worst(self) -> str:
        """Return what tells most against the canary: ``errors``, or an edge such as ``0.25s``."""
        parts = self._harm_parts
        greatest = max(range(len(parts)), key=parts.__getitem__)
        return f"{self.objective.slow_seconds[greatest - 1]:g}s" if greatest else "errors"

    @property
    def merit(self) -> float:
        """Return the e-value against "the canary fails ``error_ratio`` of its requests or more".

        Without failures, at least ln(false_promotion) / ln(1 - error_ratio) requests prove it:
        299 for 1 % and a chance of 5 %.
        """
        return e_value(self._merit.log)

    @property
    def breach(self) -> float:
        """Return the e-value against "alone, the canary fails at most ``error_ratio``"."""
        return e_value(self._breach.log)

    @property
    def mismatch(self) -> float:
        """Return the e-value against "requests are split as desired, but for a few strays"."""
        return e_value(self._log_mismatch)

    @property
    def harmful(self) -> bool:
        """Tell whether the canary is worse than stable, at 1/false_rollback."""
        threshold = -math.log(self.objective.false_rollback)
        # No mean exceeds its greatest part, which settles nearly all windows for a third.
        if max(mixture.bound for mixture in (self._errors, *self._slow)) < threshold:
            return False
        return self._log_harm >= threshold

    @property
    def breached(self) -> bool:
        """Tell whether the canary alone breaks the objective, at its part of false_rollback."""
        log = self._breach.log + math.log(BREACH_SHARE)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def proven(self) -> bool:
        """Tell whether the canary keeps the objective, at 1/false_promotion."""
        return self._merit.log >= -math.log(self.objective.false_promotion)

    @property
    def mismatched(self) -> bool:
        """Tell whether requests are not split as desired."""
        return self._log_mismatch >= -math.log(FALSE_MISMATCH)

    @property
    def _log_mismatch(self) -> float:
        one, other = self._mismatch.log, self._strays.log
        greatest = max(one, other)
        return greatest + math.log((math.exp(one - greatest) + math.exp(other - greatest)) / 2)

    @property
    def _harm_parts(self) -> list[float]:
        edges = len(self._slow)
        errors = ERRORS_SHARE if edges else ERRORS_SHARE + SLOW_SHARE
        return [
            self._errors.log + math.log(errors),
            *(mixture.log + math.log(SLOW_SHARE / edges) for mixture in self._slow),
        ]

    @property
    def _log_harm(self) -> float:
        parts = self._harm_parts
        greatest = max(parts)
        return greatest + math.log(sum(math.exp(part - greatest) for part in parts))

    def dump(self) -> dict[str, Any]:
        """Return all that is known, for JSON: what is loaded from it goes on bit for bit."""
        return {
            "format": _FORMAT,
            "objective": _described(self.objective),
            "stable": _dump_counts(self._stable),
            "canary": _dump_counts(self._canary),
            "errors": self._errors.logs,
            "slow": [mixture.logs for mixture in self._slow],
            "merit": self._merit.logs,
            "breach": self._breach.logs,
            "mismatch": self._mismatch.logs,
            "strays": self._strays.logs,
        }

    @classmethod
    def load(cls, objective: Objective, dumped: Mapping[str, Any]) -> Evidence:
        """Go on from what was dumped; raise ValueError if it is not that of this objective."""
        if dumped.get("format") != _FORMAT:
            raise ValueError("format: written by another version")
        if dumped.get("objective") != _described(objective):
            raise ValueError("objective: the evidence was gathered for another one")
        evidence = cls(objective)
        edges = len(objective.slow_seconds)
        try:
            evidence._stable = _load_counts("stable", dumped["stable"], edges)
            evidence._canary = _load_counts("canary", dumped["canary"], edges)
            evidence._errors = Mixture(_WORSE, dumped["errors"])
            evidence._slow = [Mixture(_WORSE, logs) for logs in dumped["slow"]]
            evidence._merit = Mixture(_BETTER, dumped["merit"])
            evidence._breach = Mixture(_WORSE, dumped["breach"])
            evidence._mismatch = Mixture(_ELSEWHERE, dumped["mismatch"])
            evidence._strays = Mixture(_WORSE, dumped["strays"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no evidence can be read here: {error!r}") from error
        if len(evidence._slow) != edges:
            raise ValueError(f"slow: must have {edges} parts, one for each latency edge")
        return evidence


def _described(objective: Objective) -> dict[str, Any]:
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
