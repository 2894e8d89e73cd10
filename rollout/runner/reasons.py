"""What the reasons of holds and verdicts mean, in a sentence each: pure."""

from __future__ import annotations

from typing import Final

from ..plan.model import Plan
from .decisions import Reason

_HOLDS: Final = {
    Reason.PAUSED.value: "somebody asked for a pause; tallykv-rollout resume ends it",
    Reason.NO_DATA.value: "fresh requests are missing, of a release that the step gives some",
    Reason.MISMATCH.value: (
        "requests are not shared out as the weights say; look for sessions that stick, other"
        " routes, and callers that are not counted"
    ),
    Reason.UNCHECKED.value: "the plan's checks have not passed yet",
    Reason.NOT_PROVEN.value: "too few requests yet to tell that the canary keeps the objective",
}


def why_held(reason: str) -> str:
    """Say why a rollout holds, empty where the reason says it all."""
    return _HOLDS.get(reason, "")


def why_ended(reason: str, plan: Plan, waited: str = "") -> str:
    """Say why a rollout ended, empty for a good end; ``waited`` is what it held for last."""
    kind, _, edge = reason.partition(": ")
    if kind == Reason.HARM and edge == "errors":
        return "the canary fails more of its requests than the stable release does"
    if kind == Reason.HARM:
        return f"more of the canary's requests take over {edge.removesuffix('s')} s"
    if kind == Reason.BREACH:
        limit = plan.objective.error_ratio * 100
        return f"on its own, the canary fails more than {limit:g} % of its requests"
    if kind == Reason.ABORTED:
        return "somebody ordered it"
    if kind == Reason.DEADLINE:
        return "the plan's time was up" + (f" while it waited: {waited}" if waited else "")
    return ""


def still_gets(plan: Plan, step: int) -> str:
    """Say what the canary gets at a step, where it can't be taken away; -1 is before the first."""
    share = plan.steps[max(step, 0)].share
    if share is None:
        return "the canary still gets the requests that ask for it"
    if share == 0:
        return "the canary gets no requests as far as is known"
    return f"the canary still gets {share * 100:.4g} % of the requests"
