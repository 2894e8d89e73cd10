"""What is known about a release: harm, breach, merit, silence, and whether the split is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .alone import Alone
from .comparison import Comparison
from .counts import Arm, Counts, Window, check_counts, check_window, fails_much
from .merit import Merit, proven_log
from .mixture import e_value
from .objective import Objective, check_objective
from .silence import Silence
from .split import SplitTest

#: While the canary has at most this share, the old release answers nearly all requests.
EARLY_SHARE: Final = 0.05

#: The parts of ``false_rollback`` for a canary that is alone; ``comparison`` divides the rest.
BREACH_WEIGHT: Final = 0.05
ALONE_WEIGHT: Final = 0.05
_FORMAT: Final = 3
#: Another version's format that can be read: what it lacks begins anew.
_EARLIER: Final = 2


class Evidence:
    """The evidence from all windows of one rollout; it is not reset between steps.

    See the package's docstring for the hypotheses and assumptions. E-values are kept as logarithms.
    """

    def __init__(self, objective: Objective) -> None:
        """Start without observations. Raise ValueError, which names the field of ``objective``."""
        check_objective(objective)
        edges = len(objective.slow_seconds)
        self.objective: Final = objective
        self._comparison = Comparison(objective)
        self._merit = Merit()
        self._alone = Alone(edges)
        self._split = SplitTest()
        self._silence = Silence()
        self._stable = self._canary = Counts(0, 0, (0,) * edges)

    def observe(
        self,
        window: Window,
        share: float | None,
        *,
        split: bool = True,
        least_share: float = 0.0,
        warm: bool = True,
    ) -> None:
        """Add a window, which must not overlap an earlier one.

        ``share`` is the ratio of all requests that the canary should have received during the whole
        window, 0 to 1. It is None if requests were not split by weight, or if the weights changed
        within the window; ``least_share`` is then the greatest share within it, if it is known.
        ``split`` is False if clients may also choose a release themselves, as with a preview; the
        split is then not tested. ``warm`` is False while the canary's pods may be slow because they
        are young: latencies then count only beside a baseline. Raise ValueError, which names the
        field, for a window that is impossible.
        """
        objective = self.objective
        check_window(window, share, len(objective.slow_seconds))
        canary = window.canary
        self._stable += window.old
        self._canary += canary
        early = share is not None and share <= EARLY_SHARE
        self._comparison.add(window, share, least_share=least_share, warm=warm, early=early)
        proven = proven_log(objective.false_promotion)
        self._merit.add(canary, window.old, objective.error_ratio, proven)
        if share == 1:
            # Only if stable gets no requests. While it does, the canary is compared with it, so
            # that an outage of both releases is not held against the canary.
            times = (window.since, window.until)
            self._alone.add(canary, self._stable, times, objective.error_ratio, warm=warm)
        if share is not None and split:
            self._split.add(window.old.requests, canary.requests, share, window.until)

    def listen(
        self,
        latest: Mapping[Arm, Counts],
        share: float | None,
        seconds: float,
        *,
        awaited_seconds: float = 0.0,
        least_seconds: float = 0.0,
    ) -> None:
        """Add what was counted in the last ``seconds``, by arm, to find a canary that is silent.

        The counts need not cover exactly the same time, so they are there sooner than a window.
        Those of the canary's last ``awaited_seconds`` are still to come. A silence of less than
        ``least_seconds`` counts only later: an outage of both may not be seen yet in the old
        release's counters. ``share`` is as in ``observe``.
        """
        old = [latest[arm] for arm in (Arm.STABLE, Arm.BASELINE) if arm in latest]
        if any(map(fails_much, old)):
            self._silence.forgive()
            return
        answered = {arm: counts.requests - counts.failures for arm, counts in latest.items()}
        if share == 1 and Arm.CANARY in latest:
            # If nothing else answers, failures may be the fault of something else: see ``breach``.
            answered[Arm.CANARY] = latest[Arm.CANARY].requests
        neither = latest.get(Arm.NEITHER)
        self._silence.add(
            answered.get(Arm.CANARY, 0),
            answered.get(Arm.STABLE, 0) + answered.get(Arm.BASELINE, 0),
            share,
            seconds,
            unreached=0 if neither is None else neither.failures,
            awaited_seconds=awaited_seconds,
            least_seconds=least_seconds,
        )

    def forget_alone(self) -> None:
        """Forget what the canary did with all requests: it will be compared with the old release.

        Whether it or something shared failed is unknown, so this is not held against its merit. If
        something shared is slow, the old release will be too: only how it is from now on counts.
        """
        self._alone = Alone(len(self.objective.slow_seconds), self._stable)
        self._merit.forget_open()

    @property
    def stable(self) -> Counts:
        """Sum of all windows of the old release, the baseline included."""
        return self._stable

    @property
    def canary(self) -> Counts:
        """Sum of all windows of the canary."""
        return self._canary

    @property
    def harm(self) -> float:
        """Return the weighted mean of the e-values of errors, latencies and drift.

        It starts at 0.9, because 0.1 of ``false_rollback`` is reserved for a canary that is alone.
        """
        return e_value(self._comparison.log)

    @property
    def harm_errors(self) -> float:
        """Return the e-value against the null hypothesis "never fails more often than stable"."""
        return e_value(self._comparison.errors_log)

    @property
    def harm_slow(self) -> dict[float, float]:
        """Return, for each latency threshold in seconds, the e-value against "never slower"."""
        return {edge: e_value(log) for edge, log in self._comparison.slow_logs.items()}

    @property
    def drift(self) -> float:
        """Return the e-value against "beside stable, it is as fast as it was"."""
        return e_value(self._comparison.drift_log)

    @property
    def dispersion(self) -> float:
        """Return the index of dispersion of the old release's failures, 1 if independent."""
        return self._comparison.dispersion

    @property
    def worst(self) -> str:
        """Return the largest part of ``harm``: ``errors``, ``slowing``, or such as ``0.25s``."""
        return self._comparison.worst

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
        return e_value(self._alone.breach_log)

    @property
    def slower_alone(self) -> float:
        """Return the e-value against "with all traffic, it is no slower than stable was before"."""
        return e_value(self._alone.slower_log)

    @property
    def mismatch(self) -> float:
        """Return the e-value against "the split is as desired, but for a few requests"."""
        return self._split.e_value

    @property
    def harmful(self) -> bool:
        """Return True if the canary is worse than stable: ``harm`` >= 1/false_rollback."""
        return self._comparison.log >= -math.log(self.objective.false_rollback)

    @property
    def suspect(self) -> bool:
        """Return True if the canary looks worse of late, though not enough to roll it back."""
        return self._comparison.suspect or self._alone.suspect

    @property
    def breached(self) -> bool:
        """Return True at ``breach`` >= 1/(BREACH_WEIGHT * false_rollback): an SLO violation."""
        log = self._alone.breach_log + math.log(BREACH_WEIGHT)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def slow_alone(self) -> bool:
        """Return True if the canary alone is slower than stable was."""
        log = self._alone.slower_log + math.log(ALONE_WEIGHT)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def proven(self) -> bool:
        """Return True if the canary meets the objective: ``merit`` >= 1/false_promotion.

        Not while it fails much, even if the old release does too.
        """
        proven = proven_log(self.objective.false_promotion)
        return self._merit.log >= proven and not self._merit.is_open

    @property
    def requests_needed(self) -> int | None:
        """Estimate how many more requests prove that the canary meets the objective.

        As if it went on failing as often as so far; while it has few requests, as often as the old
        release. 0 if it is proven. None if it fails too often: more requests do not help then.
        """
        canary, old, allowed = self._canary, self._stable, self.objective.error_ratio
        usual = min(old.failures / max(old.requests, 1), 0.9 * allowed)
        few = 1 / allowed
        ratio = (canary.failures + few * usual) / (canary.requests + few)
        proven = proven_log(self.objective.false_promotion)
        return self._merit.requests_until(proven, ratio, allowed)

    @property
    def mismatched(self) -> bool:
        """Return True if requests are not, or were not a minute ago, split as desired."""
        return self._split.found

    @property
    def silent(self) -> bool:
        """Return True if the canary gives no successful answer while it should give some."""
        return self._silence.found

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON. ``load`` restores it without rounding."""
        return {
            "format": _FORMAT,
            "objective": _objective_fields(self.objective),
            "stable": _dump_counts(self._stable),
            "canary": _dump_counts(self._canary),
            **self._comparison.dump(),
            "merit": self._merit.dump(),
            **self._alone.dump(),
            "split": self._split.dump(),
            "silence": self._silence.dump(),
        }

    @classmethod
    def load(cls, objective: Objective, dumped: Mapping[str, Any]) -> Evidence:
        """Restore what ``dump`` returned; raise ValueError if it belongs to another objective."""
        if dumped.get("format") == _EARLIER:
            dumped = _from_earlier(dumped)
        if dumped.get("format") != _FORMAT:
            raise ValueError("format: another version wrote it")
        if dumped.get("objective") != _objective_fields(objective):
            raise ValueError("objective: the evidence belongs to another objective")
        evidence = cls(objective)
        edges = len(objective.slow_seconds)
        try:
            evidence._stable = _load_counts("stable", dumped["stable"], edges)
            evidence._canary = _load_counts("canary", dumped["canary"], edges)
            evidence._comparison = Comparison.load(objective, dumped)
            evidence._merit = Merit.load(dumped["merit"])
            evidence._alone = Alone.load(edges, dumped)
            evidence._split = SplitTest.load(dumped["split"])
            evidence._silence = Silence.load(dumped["silence"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no saved evidence: {error!r}") from error
        return evidence


def _from_earlier(dumped: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the last version saved in the present format."""
    return {
        **dumped,
        "format": _FORMAT,
        "drift": None,
        "merit": {"logs": dumped.get("merit"), "open": None},
        "silence": Silence().dump(),
    }


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
