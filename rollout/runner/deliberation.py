"""From a rollout's state to a decision, and to the reason that is told. Pure."""

from __future__ import annotations

from ..plan.model import Plan
from .decisions import Decision, Progress, Reason, decide
from .rollout_state import RolloutState


def deliberate(plan: Plan, state: RolloutState, now: float) -> Decision:
    """Decide what to do next; ``now`` is Unix time in seconds."""
    progress = Progress(
        step=state.step,
        step_since=state.step_since,
        since=state.began(now),
        data_at=state.data_at,
        outage_at=state.outage_at,
        paused=state.paused,
        aborted=state.aborted,
        smoke_tests_passed=state.smoke_tests_passed,
        stepped_back=state.stepped_back,
        interval=state.windows.interval,
        requests=state.evidence.canary.requests - state.requests_before,
        resumed=state.resumed_step == state.step,
        step_evidence=state.step_evidence,
    )
    return decide(plan, progress, state.evidence, now)


def name_reason(state: RolloutState, decision: Decision, detail: str = "") -> str:
    """Return the reason as events have it: for harm, with what is worse."""
    more = detail
    if decision.reason is Reason.HARM:
        step = state.step_evidence
        more = (step if step and step.harmful else state.evidence).worst
    return f"{decision.reason.value}: {more}" if more else decision.reason.value
