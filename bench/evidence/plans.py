"""Plans for simulations. Their routes are real, and are never applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rollout.evidence.objective import Objective
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.virtual_service import VirtualService
from rollout.plan.model import Plan, Step, Strategy

#: The shares of the default steps.
SHARES: Final = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
#: The same with a holdback: a few requests still go to the old release before the last step.
HELD_BACK: Final = (*SHARES[:-1], 0.98, 1.0)
BASELINE: Final = "baseline"


def canary_plan(
    shares: Sequence[float] = SHARES,
    *,
    objective: Objective | None = None,
    step_seconds: float = 60.0,
    deadline_seconds: float = 3600.0,
) -> Plan:
    return Plan(
        name="simulated",
        strategy=Strategy.CANARY,
        stable="stable",
        canary="canary",
        steps=tuple(_step(share) for share in shares),
        objective=objective or Objective(),
        step_seconds=step_seconds,
        deadline_seconds=deadline_seconds,
    )


def with_baseline(plan: Plan) -> Plan:
    """Give the baseline as many requests as the canary, while stable keeps as many."""
    steps = tuple(
        replace(step, baseline_share=min(step.share or 0.0, (1 - (step.share or 0.0)) / 2))
        for step in plan.steps
    )
    return replace(plan, steps=steps, baseline=BASELINE)


def _step(share: float) -> Step:
    canary = round(share * 100)
    document = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "kv", "namespace": "shop"},
        "spec": {
            "hosts": ["kv"],
            "http": [
                {
                    "route": [
                        {"destination": {"host": "kv", "subset": subset}, "weight": weight}
                        for subset, weight in (("stable", 100 - canary), ("canary", canary))
                    ]
                }
            ],
        },
    }
    parsed = parse_manifest(document)
    if not isinstance(parsed.manifest, VirtualService):
        raise TypeError(f"no VirtualService: {parsed.errors}")
    return Step(f"canary-{canary:02}", share, parsed.manifest, document)


#: Blue/green: all requests at once.
FLIP: Final = replace(canary_plan((0.0, 1.0)), strategy=Strategy.BLUE_GREEN)
