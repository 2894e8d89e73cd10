"""The canary beside the old release: whether it fails more, is slower, or has become slower."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .counts import Counts, Window
from .drift import Drift
from .harm import HarmTest
from .mixture import log_sum
from .objective import Objective

#: The canary's odds of a failure, and of a slow answer, may be this many times those of the old
#: release before it counts as worse. Clients, pods and nodes differ by as much. A baseline is
#: equally young and as large as the canary, so less is left to chance.
ERRORS_MARGIN: Final = 2.0
SLOW_MARGIN: Final = 4.0

#: How ``false_rollback`` is divided; the rest is for a canary that is alone. The weighted mean of
#: e-values is an e-value whatever their dependence, so the error probability of the whole stays
#: within ``false_rollback``. Errors get most, because they hurt users most. The latency thresholds
#: share theirs equally, because nobody knows beforehand which of them will show a difference;
#: without thresholds errors get their weight. Half a weight costs ln 2 / ln(1/a) more evidence: a
#: seventh for a = 1 %.
ERRORS_WEIGHT: Final = 0.6
SLOW_WEIGHT: Final = 0.2
DRIFT_WEIGHT: Final = 0.1


class Comparison:
    """The tests of harm, one for failures, one for each latency threshold, and one for drift."""

    def __init__(self, objective: Objective) -> None:
        self._edges: Final = objective.slow_seconds
        # One young pod may be slow for minutes; an incident that makes requests fail is brief.
        self._errors = HarmTest(brief=True)
        self._slow = [HarmTest() for _ in self._edges]
        self._drift = Drift(len(self._edges))

    @property
    def log(self) -> float:
        """Logarithm of the weighted mean of all e-values."""
        return log_sum(self._parts)

    @property
    def errors_log(self) -> float:
        return self._errors.log

    @property
    def slow_logs(self) -> dict[float, float]:
        """By latency threshold, in seconds."""
        return {edge: test.log for edge, test in zip(self._edges, self._slow, strict=True)}

    @property
    def drift_log(self) -> float:
        return self._drift.log

    @property
    def dispersion(self) -> float:
        """Return the index of dispersion of the old release's failures."""
        return self._errors.dispersion

    @property
    def suspect(self) -> bool:
        """Return True if the canary looks worse of late."""
        return self._errors.suspect or any(test.suspect for test in self._slow)

    @property
    def worst(self) -> str:
        """Return the largest part: ``errors``, ``slowing``, or a threshold such as ``0.25s``."""
        parts = self._parts
        greatest = max(range(len(parts)), key=parts.__getitem__)
        if not greatest:
            return "errors"
        return "slowing" if greatest > len(self._edges) else f"{self._edges[greatest - 1]:g}s"

    @property
    def _parts(self) -> list[float]:
        edges = len(self._edges)
        if not edges:
            return [self._errors.log + math.log(ERRORS_WEIGHT + SLOW_WEIGHT + DRIFT_WEIGHT)]
        return [
            self._errors.log + math.log(ERRORS_WEIGHT),
            *(test.log + math.log(SLOW_WEIGHT / edges) for test in self._slow),
            self._drift.log + math.log(DRIFT_WEIGHT),
        ]

    def add(
        self,
        window: Window,
        share: float | None,
        *,
        least_share: float,
        warm: bool,
        early: bool,
    ) -> None:
        """Add a window; see ``Evidence.observe``. ``early``: the canary has at most a few."""
        canary, old = window.canary, window.old
        times = (window.since, window.until)
        around = old if window.around is None else window.around
        self._errors.add(
            (canary.failures, canary.requests),
            (max(old.failures, around.failures), old.requests),
            times,
            ERRORS_MARGIN,
            least_share,
            before=early,
        )
        # Failures are judged above. Among the answers that succeeded, slow ones stand out.
        baseline = window.baseline
        beside = baseline is not None and baseline.requests > 0
        if not (warm or beside or early):
            return
        others = baseline if baseline is not None and beside else old
        for index, test in enumerate(self._slow):
            slow, answered = slow_answers(others, index)
            if not beside:
                slow = max(slow, slow_answers(around, index)[0])
            test.add(
                slow_answers(canary, index) if warm or beside else (0, 0),
                (min(slow, answered), answered),
                times,
                SLOW_MARGIN,
                0.0 if beside else least_share,
                before=early,
            )
        if warm:
            edges = range(len(self._edges))
            self._drift.add(
                [slow_answers(canary, index) for index in edges],
                [slow_answers(old, index) for index in edges],
                times,
                share,
            )

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "errors": self._errors.dump(),
            "slow": [test.dump() for test in self._slow],
            "drift": self._drift.dump(),
        }

    @classmethod
    def load(cls, objective: Objective, dumped: Mapping[str, Any]) -> Comparison:
        """Restore what ``dump`` returned; raise ValueError, KeyError or TypeError."""
        comparison = cls(objective)
        comparison._errors = HarmTest.load(dumped["errors"], brief=True)
        comparison._slow = [HarmTest.load(test) for test in dumped["slow"]]
        edges = len(objective.slow_seconds)
        if len(comparison._slow) != edges:
            raise ValueError(f"slow: must have {edges} parts, one for each latency threshold")
        if dumped["drift"] is not None:
            comparison._drift = Drift.load(edges, dumped["drift"])
        return comparison


def slow_answers(counts: Counts, index: int) -> tuple[int, int]:
    """Return how many answers that succeeded were slow, and how many succeeded."""
    # Histograms and counters are not read at the same instant, so a difference may be negative.
    return max(0, counts.slow[index] - counts.failures), counts.requests - counts.failures
