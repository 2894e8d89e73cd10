"""One rollout from its first window to its end, judged by the real evidence and decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rollout.evidence import Evidence
from rollout.plan.model import Plan
from rollout.runner.decisions import Action, Progress, Reason, decide, has_requests_for_every_arm

from .traffic import World

#: What evidence is told of the share that was desired.
Telling = Callable[[float | None], float | None]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a rollout ended, after how long, and what the canary had got by then."""

    action: Action
    reason: Reason
    seconds: float
    requests: int
    failures: int
    #: Whether the split ever looked other than desired.
    mismatched: bool
    #: The canary's requests when its merit was proven, None if it never was.
    proven_by: int | None

    @property
    def rolled_back(self) -> bool:
        return self.action is Action.ROLL_BACK

    @property
    def promoted(self) -> bool:
        return self.action is Action.PROMOTE


def told(share: float | None) -> float | None:
    """Tell what is so."""
    return share


def only_the_last(share: float | None) -> float | None:
    """Tell nothing of splits, as where clients stick to a release; but of when all is split off."""
    return share if share == 1 else None


def roll_out(plan: Plan, world: World, *, start: int = 0, tell: Telling = told) -> Ending:
    """Go from step to step as decided after each window, until that is over."""
    evidence = Evidence(plan.objective)
    step, step_since, now = start, 0.0, 0.0
    data_at: float | None = None
    proven_by: int | None = None
    mismatched = False
    while True:
        share = plan.steps[step].share
        window = world.window(now, share)
        now = window.until
        evidence.observe(window, tell(share))
        if has_requests_for_every_arm(plan.steps[step], window):
            data_at = now
        if proven_by is None and evidence.proven:
            proven_by = evidence.canary.requests
        mismatched = mismatched or evidence.mismatched
        progress = Progress(step=step, step_since=step_since, since=0.0, data_at=data_at)
        decision = decide(plan, progress, evidence, now)
        if decision.action is Action.ADVANCE:
            step, step_since = decision.step, now
        elif decision.action is not Action.HOLD:
            return Ending(
                decision.action,
                decision.reason,
                now,
                evidence.canary.requests,
                evidence.canary.failures,
                mismatched,
                proven_by,
            )
