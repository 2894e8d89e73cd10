"""The state of a rollout: everything that a runner needs to continue after a crash. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..evidence import Evidence
from ..evidence.objective import Objective
from ..evidence.windows import WindowBuilder
from ..plan.model import Plan


class PlanChanged(Exception):
    """The saved state belongs to a different plan or objective; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class RolloutState:
    """The saved state; times in Unix seconds.

    ``step`` is the index of the step in force, -1 before the first one. ``intended`` is the index
    of the step that should be in force. They differ from a decision until the routes are changed.
    A runner that starts in between continues the change. ``verdict`` is saved with the decision,
    before the routes are changed. ``change_since`` is the time of the decision for the step in
    force, and ``step_since`` the time when it came into force; a window in between may contain
    requests of two steps. ``exposed_at`` is when the canary first got requests. All times are by
    the clock of the source, such as Prometheus.
    """

    since: float
    step_since: float
    change_since: float
    evidence: Evidence
    windows: WindowBuilder
    step: int = -1
    intended: int = 0
    exposed_at: float | None = None
    data_at: float | None = None
    outage_at: float | None = None
    paused: bool = False
    aborted: bool = False
    smoke_tests_passed: bool = False
    verdict: str | None = None
    reason: str | None = None
    ended: bool = False

    def dump(self, plan: Plan) -> dict[str, Any]:
        """Return the state for JSON; ``load`` restores it without rounding."""
        return {
            "plan": _identify(plan),
            "since": self.since,
            "step_since": self.step_since,
            "change_since": self.change_since,
            "step": self.step,
            "intended": self.intended,
            "evidence": self.evidence.dump(),
            "windows": self.windows.dump(),
            "exposed_at": self.exposed_at,
            "data_at": self.data_at,
            "outage_at": self.outage_at,
            "paused": self.paused,
            "aborted": self.aborted,
            "checked": self.smoke_tests_passed,
            "verdict": self.verdict,
            "reason": self.reason,
            "ended": self.ended,
        }

    @classmethod
    def load(cls, plan: Plan, saved: Mapping[str, Any]) -> RolloutState:
        """Restore what ``dump`` returned; raise PlanChanged if it belongs to another plan."""
        if saved["plan"] != _identify(plan):
            raise PlanChanged(
                "the plan has changed since this rollout began; restore the plan, or abort the"
                " rollout with the plan it began with, and start again with --again"
            )
        evidence = _load_evidence(plan.objective, saved["evidence"])
        return cls(
            since=saved["since"],
            step_since=saved["step_since"],
            change_since=saved["change_since"],
            step=saved["step"],
            intended=saved["intended"],
            evidence=evidence,
            windows=WindowBuilder.load(len(plan.objective.slow_seconds), saved["windows"]),
            exposed_at=saved["exposed_at"],
            data_at=saved["data_at"],
            outage_at=saved["outage_at"],
            paused=saved["paused"],
            aborted=saved["aborted"],
            smoke_tests_passed=saved["checked"],
            verdict=saved["verdict"],
            reason=saved["reason"],
            ended=saved["ended"],
        )


def _identify(plan: Plan) -> dict[str, Any]:
    """Return what must not change in a plan while its rollout runs."""
    return {
        "name": plan.name,
        "strategy": plan.strategy.value,
        "virtual_service": f"{plan.namespace}/{plan.virtual_service}",
        "stable": plan.stable,
        "canary": plan.canary,
        "steps": [[step.name, step.share] for step in plan.steps],
    }


def _load_evidence(objective: Objective, saved: Mapping[str, Any]) -> Evidence:
    try:
        return Evidence.load(objective, saved)
    except ValueError as error:
        raise PlanChanged(
            f"the saved evidence can't be used: {error};"
            " restore the plan's objective, or start again with --again"
        ) from None
