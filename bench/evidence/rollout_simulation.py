"""One rollout from its first window to its end, decided by the real evidence. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rollout.evidence import Evidence
from rollout.plan.model import Plan
from rollout.runner.decisions import Action, Progress, Reason, decide, has_requests_for_every_arm

from .drawn_traffic import Traffic

#: Returns the desired share that the evidence may use, or None.
UsableShare = Callable[[float | None], float | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended, after how long, and what the canary had received by then."""

    action: Action
    reason: Reason
    seconds: float
    requests: int
    failures: int
    #: Whether a sample-ratio mismatch was ever found.
    mismatched: bool
    #: The canary's requests when its merit was proven, None if it never was.
    proven_by: int | None

    @property
    def rolled_back(self) -> bool:
        return self.action is Action.ROLL_BACK

    @property
    def promoted(self) -> bool:
        return self.action is Action.PROMOTE


def every_share(share: float | None) -> float | None:
    return share


def full_share_only(share: float | None) -> float | None:
    """Return the share of 1 alone, as where sticky sessions change all other shares."""
    return share if share == 1 else None


def simulate_rollout(
    plan: Plan, traffic: Traffic, *, start: int = 0, usable_share: UsableShare = every_share
) -> Outcome:
    """Follow the decision after each window, from step ``start`` until the rollout ends."""
    evidence = Evidence(plan.objective)
    step, step_since, now = start, 0.0, 0.0
    data_at: float | None = None
    proven_by: int | None = None
    mismatched = False
    while True:
        share = plan.steps[step].share
        window = traffic.window(now, share)
        now = window.until
        evidence.observe(window, usable_share(share))
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
            return Outcome(
                decision.action,
                decision.reason,
                now,
                evidence.canary.requests,
                evidence.canary.failures,
                mismatched,
                proven_by,
            )
