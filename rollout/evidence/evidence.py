"""What is known about a release: harm, breach, merit, silence, and whether the split is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .counts import (
    OUTAGE_FAILURES,
    OUTAGE_RATIO,
    Arm,
    Counts,
    Window,
    check_counts,
    check_window,
)
from .harm import HarmTest
from .incident import Span
from .mixture import Alternatives, Mixture, e_value
from .objective import Objective, check_objective
from .silence import Silence
from .split import SplitTest

#: The canary's odds of a failure, and of a slow answer, may be this many times those of the old
#: release before it counts as worse. Clients, pods and nodes differ by as much. A baseline is
#: equally young and as large as the canary, so less is left to chance.
ERRORS_MARGIN: Final = 2.0
SLOW_MARGIN: Final = 4.0
#: The same for a release that is alone: it is compared with how the old one was before.
ALONE_MARGIN: Final = 4.0
#: Fewer slow answers than this ratio are never held against a release that is alone.
ALONE_LEAST: Final = 0.05
#: So many requests of the old release must have been counted for that.
_ALONE_REQUESTS: Final = 200

#: While the canary has at most this share, the old release answers nearly all requests.
EARLY_SHARE: Final = 0.05

#: How ``false_rollback`` is divided. The weighted mean of e-values is an e-value whatever their
#: dependence, so the error probability of the whole stays within ``false_rollback``. Errors get
#: most, because they hurt users most. The latency thresholds share theirs equally, because nobody
#: knows beforehand which of them will show a difference; without thresholds errors get their
#: weight. Half a weight costs ln 2 / ln(1/a) more evidence: a seventh for a = 1 %.
ERRORS_WEIGHT: Final = 0.6
SLOW_WEIGHT: Final = 0.3
BREACH_WEIGHT: Final = 0.05
ALONE_WEIGHT: Final = 0.05
#: What the evidence of merit may exceed its threshold by, as a logarithm. Failures that come after
#: a long good time take it below the threshold soon.
_SPARE_MERIT: Final = 2.0

_WORSE: Final = Alternatives(1.3 * 1.7**power for power in range(8))
#: The first one stands for a release that never fails.
_BETTER: Final = Alternatives((0.001, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9))
_FORMAT: Final = 2


class Evidence:
    """The evidence from all windows of one rollout; it is not reset between steps.

    See the package's docstring for the hypotheses and assumptions. E-values are kept as logarithms.
    """

    def __init__(self, objective: Objective) -> None:
        """Start without observations. Raise ValueError, which names the field of ``objective``."""
        check_objective(objective)
        edges = len(objective.slow_seconds)
        self.objective: Final = objective
        self._errors = HarmTest()
        self._slow = [HarmTest() for _ in range(edges)]
        self._merit = Mixture(_BETTER)
        self._breach = Mixture(_WORSE)
        self._breach_span = Span()
        self._alone = [Mixture(_WORSE) for _ in range(edges)]
        self._alone_spans = [Span() for _ in range(edges)]
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
        check_window(window, share, len(self._slow))
        canary = window.canary
        self._stable += window.old
        self._canary += canary
        times = (window.since, window.until)
        early = share is not None and share <= EARLY_SHARE
        self._compare(window, times, least_share, warm=warm, before=early)
        if not (_fails_much(canary) and _fails_much(window.old)):
            self._prove(canary)
        if share == 1:
            # Only if stable gets no requests. While it does, the canary is compared with it, so
            # that an outage of both releases is not held against the canary.
            self._judge_alone(canary, times)
        if share is not None and split:
            self._split.add(window.old.requests, canary.requests, share, window.until)

    def listen(
        self,
        latest: Mapping[Arm, Counts],
        share: float | None,
        seconds: float,
        *,
        awaited: bool = False,
        least_seconds: float = 0.0,
    ) -> None:
        """Add what was counted in the last ``seconds``, by arm, to find a canary that is silent.

        The counts need not cover exactly the same time, so they are there sooner than a window.
        ``awaited`` is True if those of the canary are still to come. A silence of less than
        ``least_seconds`` counts only later: an outage of both may not be seen yet in the old
        release's counters. ``share`` is as in ``observe``.
        """
        old = [latest[arm] for arm in (Arm.STABLE, Arm.BASELINE) if arm in latest]
        if any(map(_fails_much, old)):
            self._silence.forgive()
            return
        answered = {arm: counts.requests - counts.failures for arm, counts in latest.items()}
        neither = latest.get(Arm.NEITHER)
        self._silence.add(
            answered.get(Arm.CANARY, 0),
            answered.get(Arm.STABLE, 0) + answered.get(Arm.BASELINE, 0),
            share,
            seconds,
            unreached=0 if neither is None else neither.failures,
            awaited=awaited,
            least_seconds=least_seconds,
        )

    def _compare(
        self,
        window: Window,
        times: tuple[float, float],
        least_share: float,
        *,
        warm: bool,
        before: bool,
    ) -> None:
        canary, old = window.canary, window.old
        around = old if window.around is None else window.around
        self._errors.add(
            (canary.failures, canary.requests),
            (max(old.failures, around.failures), old.requests),
            times,
            ERRORS_MARGIN,
            least_share,
            before=before,
        )
        # Failures are judged above. Among the answers that succeeded, slow ones stand out.
        baseline = window.baseline
        beside = baseline is not None and baseline.requests > 0
        if not (warm or beside or before):
            return
        others = baseline if baseline is not None and beside else old
        for index, test in enumerate(self._slow):
            slow, answered = _slow_answers(others, index)
            if not beside:
                slow = max(slow, _slow_answers(around, index)[0])
            test.add(
                _slow_answers(canary, index),
                (min(slow, answered), answered),
                times,
                SLOW_MARGIN,
                0.0 if beside else least_share,
                before=before,
            )

    def _prove(self, canary: Counts) -> None:
        self._merit.add(canary.failures, canary.requests, self.objective.error_ratio)
        self._merit.limit(_SPARE_MERIT - math.log(self.objective.false_promotion))

    def _judge_alone(self, canary: Counts, times: tuple[float, float]) -> None:
        if not canary.requests:
            return
        allowed = self.objective.error_ratio
        failures = self._breach_span.add(canary.failures, canary.requests, times, allowed)
        self._breach.add(failures, canary.requests, allowed)
        requests = self._stable.requests
        if requests < _ALONE_REQUESTS:
            return
        for index, (test, span) in enumerate(zip(self._alone, self._alone_spans, strict=True)):
            ratio = (self._stable.slow[index] + 1) / (requests + 2)
            odds = ALONE_MARGIN * ratio / (1 - ratio)
            usual = max(ALONE_LEAST, odds / (1 + odds))
            slow = span.add(canary.slow[index], canary.requests, times, usual, 1.0)
            test.add(slow, canary.requests, usual)

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
        """Return the weighted mean of the error and latency e-values.

        It starts at 0.9, because 0.1 of ``false_rollback`` is reserved for a canary that is alone.
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
            edge: e_value(test.log)
            for edge, test in zip(self.objective.slow_seconds, self._slow, strict=True)
        }

    @property
    def dispersion(self) -> float:
        """Return the index of dispersion of the old release's failures, 1 if independent."""
        return self._errors.dispersion

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
    def slower_alone(self) -> float:
        """Return the e-value against "with all traffic, it is no slower than stable was before"."""
        return e_value(self._log_alone)

    @property
    def mismatch(self) -> float:
        """Return the e-value against "the split is as desired, but for a few requests"."""
        return self._split.e_value

    @property
    def harmful(self) -> bool:
        """Return True if the canary is worse than stable: ``harm`` >= 1/false_rollback."""
        return self._log_harm >= -math.log(self.objective.false_rollback)

    @property
    def suspect(self) -> bool:
        """Return True if the canary looks worse of late, though not enough to roll it back."""
        return self._errors.suspect or any(test.suspect for test in self._slow)

    @property
    def breached(self) -> bool:
        """Return True at ``breach`` >= 1/(BREACH_WEIGHT * false_rollback): an SLO violation."""
        log = self._breach.log + math.log(BREACH_WEIGHT)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def slow_alone(self) -> bool:
        """Return True if the canary alone is slower than stable was."""
        log = self._log_alone + math.log(ALONE_WEIGHT)
        return log >= -math.log(self.objective.false_rollback)

    @property
    def proven(self) -> bool:
        """Return True if the canary meets the objective: ``merit`` >= 1/false_promotion."""
        return self._merit.log >= -math.log(self.objective.false_promotion)

    @property
    def mismatched(self) -> bool:
        """Return True if requests are not, or were not a minute ago, split as desired."""
        return self._split.found

    @property
    def silent(self) -> bool:
        """Return True if the canary gives no successful answer while it should give some."""
        return self._silence.found

    @property
    def _harm_parts(self) -> list[float]:
        edges = len(self._slow)
        errors = ERRORS_WEIGHT if edges else ERRORS_WEIGHT + SLOW_WEIGHT
        return [
            self._errors.log + math.log(errors),
            *(test.log + math.log(SLOW_WEIGHT / edges) for test in self._slow),
        ]

    @property
    def _log_harm(self) -> float:
        return _log_sum(self._harm_parts)

    @property
    def _log_alone(self) -> float:
        if not self._alone:
            return 0.0
        return _log_sum([test.log for test in self._alone]) - math.log(len(self._alone))

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON. ``load`` restores it without rounding."""
        silence = self._silence
        return {
            "format": _FORMAT,
            "objective": _objective_fields(self.objective),
            "stable": _dump_counts(self._stable),
            "canary": _dump_counts(self._canary),
            "errors": self._errors.dump(),
            "slow": [test.dump() for test in self._slow],
            "merit": self._merit.logs,
            "breach": self._breach.logs,
            "breach_span": self._breach_span.dump(),
            "alone": [test.logs for test in self._alone],
            "alone_spans": [span.dump() for span in self._alone_spans],
            "split": self._split.dump(),
            "silence": [
                silence.expected,
                silence.awaited,
                silence.unreached,
                silence.rate,
                list(silence.known),
                silence.since,
                silence.share,
                silence.seconds,
                silence.least_seconds,
            ],
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
            evidence._errors = HarmTest.load(dumped["errors"])
            evidence._slow = [HarmTest.load(test) for test in dumped["slow"]]
            evidence._merit = Mixture(_BETTER, dumped["merit"])
            evidence._breach = Mixture(_WORSE, dumped["breach"])
            evidence._breach_span = Span.load(dumped["breach_span"])
            evidence._alone = [Mixture(_WORSE, logs) for logs in dumped["alone"]]
            evidence._alone_spans = [Span.load(span) for span in dumped["alone_spans"]]
            evidence._split = SplitTest.load(dumped["split"])
            evidence._silence = _load_silence(dumped["silence"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no saved evidence: {error!r}") from error
        if {len(evidence._slow), len(evidence._alone), len(evidence._alone_spans)} != {edges}:
            raise ValueError(f"slow: must have {edges} parts, one for each latency threshold")
        return evidence


def _fails_much(counts: Counts) -> bool:
    """Return True for an outage. If both have one, it says nothing of the canary's merit."""
    return counts.failures >= OUTAGE_FAILURES and counts.failures > OUTAGE_RATIO * counts.requests


def _slow_answers(counts: Counts, index: int) -> tuple[int, int]:
    """Return how many answers that succeeded were slow, and how many succeeded."""
    # Histograms and counters are not read at the same instant, so a difference may be negative.
    return max(0, counts.slow[index] - counts.failures), counts.requests - counts.failures


def _load_silence(dumped: Sequence[Any]) -> Silence:
    expected, awaited, unreached, rate, (own, others), *more = dumped
    return Silence(expected, awaited, unreached, rate, (own, others), *more)


def _log_sum(logs: list[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(math.fsum(math.exp(log - greatest) for log in logs))


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
