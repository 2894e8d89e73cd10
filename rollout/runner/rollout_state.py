"""Where a rollout stands: all that a runner must find again after it was killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..evidence import Evidence
from ..evidence.counts import Arm, Counts, Reading, Series
from ..evidence.objective import Objective
from ..plan.model import Plan


class StandingInvalid(Exception):
    """What was kept is of another rollout; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """Times are Unix seconds.

    ``step`` is the index of the step that is in force, -1 before the first; ``intended`` of the one
    that shall be. They differ from the moment of a decision until the routes are changed, and a
    runner that finds them so goes on with the change. ``verdict`` is kept with the decision, before
    the way back is taken. ``change_since`` is when the step in force was decided on: from then
    until ``step_since`` it came about, and no window in between is of one step alone.
    """

    since: float
    step_since: float
    change_since: float
    evidence: Evidence
    step: int = -1
    intended: int = 0
    baseline: Reading | None = None
    data_at: float | None = None
    paused: bool = False
    aborted: bool = False
    checked: bool = False
    verdict: str | None = None
    reason: str | None = None
    ended: bool = False

    def dump(self, plan: Plan) -> dict[str, Any]:
        """Return it for JSON; numbers come back exactly."""
        return {
            "plan": describe(plan),
            "since": self.since,
            "step_since": self.step_since,
            "change_since": self.change_since,
            "step": self.step,
            "intended": self.intended,
            "evidence": self.evidence.dump(),
            "baseline": None if self.baseline is None else _dump_reading(self.baseline),
            "data_at": self.data_at,
            "paused": self.paused,
            "aborted": self.aborted,
            "checked": self.checked,
            "verdict": self.verdict,
            "reason": self.reason,
            "ended": self.ended,
        }

    @classmethod
    def load(cls, plan: Plan, kept: Mapping[str, Any]) -> Standing:
        """Read what was dumped; raise StandingInvalid if it is not of this plan."""
        if kept["plan"] != describe(plan):
            raise StandingInvalid(
                "the plan has changed since this rollout began; restore it, or abort the rollout"
                " with the plan it began with and begin anew with --again"
            )
        baseline = kept["baseline"]
        return cls(
            since=kept["since"],
            step_since=kept["step_since"],
            change_since=kept["change_since"],
            step=kept["step"],
            intended=kept["intended"],
            evidence=_load_evidence(plan.objective, kept["evidence"]),
            baseline=None if baseline is None else _load_reading(baseline),
            data_at=kept["data_at"],
            paused=kept["paused"],
            aborted=kept["aborted"],
            checked=kept["checked"],
            verdict=kept["verdict"],
            reason=kept["reason"],
            ended=kept["ended"],
        )


def describe(plan: Plan) -> dict[str, Any]:
    """Return what makes a plan that plan: another one can't go on with its evidence."""
    return {
        "name": plan.name,
        "strategy": plan.strategy.value,
        "virtual_service": f"{plan.namespace}/{plan.virtual_service}",
        "stable": plan.stable,
        "canary": plan.canary,
        "steps": [[step.name, step.share] for step in plan.steps],
    }


def _load_evidence(objective: Objective, kept: Mapping[str, Any]) -> Evidence:
    try:
        return Evidence.load(objective, kept)
    except ValueError as error:
        raise StandingInvalid(
            f"the evidence that was kept can't be gone on with: {error};"
            " restore the plan's objective, or begin anew with --again"
        ) from None


def _dump_reading(reading: Reading) -> dict[str, Any]:
    return {
        "at": reading.at,
        "series": [
            [
                series.arm.value,
                series.instance,
                counts.requests,
                counts.failures,
                list(counts.slow),
                reading.started.get(series),
            ]
            for series, counts in reading.counts.items()
        ],
    }


def _load_reading(kept: Mapping[str, Any]) -> Reading:
    counts: dict[Series, Counts] = {}
    started: dict[Series, float] = {}
    for arm, instance, requests, failures, slow, began in kept["series"]:
        series = Series(Arm(arm), instance)
        counts[series] = Counts(requests, failures, tuple(slow))
        if began is not None:
            started[series] = began
    return Reading(kept["at"], counts, started)
