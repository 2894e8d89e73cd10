"""Describes a plan for reports and the progress view."""

from __future__ import annotations

from ..plan.model import Plan
from ..report.samples import About, PlannedStep


def about_of(plan: Plan, source: str, not_rehearsed: tuple[str, ...] = ()) -> About:
    """Describe a plan; ``source`` says where its evidence comes from."""
    return About(
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
