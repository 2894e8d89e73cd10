"""What a report and a progress view show of the plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..evidence.objective import Objective
from ..plan.model import Plan


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """``share`` is the canary's share of the requests, 0 to 1, None if the step has no weights."""

    name: str
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """``stable`` and ``canary`` are the names or versions of the releases.

    ``source`` says where the evidence came from. ``not_rehearsed`` are sentences about what only a
    cluster can show.
    """

    rollout: str
    namespace: str
    strategy: str
    stable: str
    canary: str
    steps: tuple[PlannedStep, ...]
    objective: Objective
    step_seconds: float
    deadline_seconds: float
    source: str = ""
    not_rehearsed: tuple[str, ...] = ()


def summarize_plan(plan: Plan, source: str, not_rehearsed: tuple[str, ...] = ()) -> PlanSummary:
    """Summarize a plan; ``source`` and ``not_rehearsed`` are as in PlanSummary."""
    return PlanSummary(
        rollout=plan.name,
        namespace=plan.namespace,
        strategy=plan.strategy.value,
        stable=plan.stable,
        canary=plan.canary,
        steps=tuple(PlannedStep(step.name, step.share) for step in plan.steps),
        objective=plan.objective,
        step_seconds=plan.step_seconds,
        deadline_seconds=plan.deadline_seconds,
        source=source,
        not_rehearsed=not_rehearsed,
    )
