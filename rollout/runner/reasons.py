"""Human-readable explanations of hold and verdict reasons. Pure."""

from __future__ import annotations

from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Counts
from ..plan.model import Plan, Strategy
from .decisions import Reason

_HOLDS: Final = {
    Reason.PAUSED.value: "the rollout is paused; tallykv-rollout resume ends the pause",
    Reason.NO_DATA.value: (
        "no recent requests were counted for a release that should receive some at this step"
    ),
    Reason.MISMATCH.value: (
        "requests are not split as the weights say (sample-ratio mismatch); look for sticky"
        " sessions, for other routes, and for clients that are not counted"
    ),
    Reason.STEP_REQUESTS.value: (
        "the canary has had fewer requests at this step than the plan asks for"
    ),
    Reason.PLAN_PAUSE.value: (
        "the plan pauses at this step; tallykv-rollout resume goes on, abort goes back"
    ),
    Reason.PODS.value: "the pods for the next change are not ready",
    Reason.SMOKE_TESTS.value: "the plan's smoke tests have not passed yet",
    Reason.OUTAGE.value: (
        "both releases fail many of their requests: something that they share fails, or both are"
        " broken; this says nothing about the canary"
    ),
    Reason.SUSPECT.value: (
        "the canary looks worse than the stable release, though not enough to roll it back yet; the"
        " rollout waits until more requests decide"
    ),
    Reason.NOT_PROVEN.value: "there are too few requests yet to prove that the canary meets the"
    " objective",
}


def explain_hold(reason: str) -> str:
    """Return one sentence, or an empty text where the reason needs none (``step-time``)."""
    return _HOLDS.get(reason, "")


def explain_missing_proof(plan: Plan, evidence: Evidence, per_second: float) -> str:
    """Return why the canary is not proven to meet the objective.

    ``per_second`` is the present rate of its requests, 0 if it is unknown.
    """
    allowed = plan.objective.error_ratio
    stable, canary = evidence.stable, evidence.canary
    if canary.failures <= allowed * canary.requests:
        missing = evidence.requests_needed
        more = f": it {describe_missing_requests(missing, per_second)}" if missing else ""
        return _HOLDS[Reason.NOT_PROVEN.value] + more
    reason = (
        f"the canary failed {_percent(canary)} of its requests, and the objective allows"
        f" {allowed * 100:.3g} %"
    )
    if stable.failures > allowed * stable.requests:
        reason += (
            f"; the stable release failed {_percent(stable)} too: no release can be promoted while"
            " both fail"
        )
    return reason


def describe_missing_requests(needed: int, per_second: float) -> str:
    """Say how many more requests of the canary a proof takes, and how long at the present rate."""
    if not per_second:
        return f"needs about {_rounded(needed):,} more requests"
    minutes = round(needed / per_second / 60)
    if minutes < 1:
        time = "less than a minute"
    elif minutes < 120:
        time = f"{minutes} minute{'s' * (minutes > 1)}"
    else:
        time = f"{round(minutes / 60)} hours"
    return f"needs about {_rounded(needed):,} more requests, {time} at this rate"


def _rounded(number: int) -> int:
    """Round up to two digits: an estimate is no more precise."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // unit) * unit


def _percent(counts: Counts) -> str:
    return f"{counts.failures / counts.requests * 100:.3g} %"


def explain_verdict(reason: str, plan: Plan, last_hold: str = "") -> str:
    """Return one sentence about why a rollout ended; ``last_hold`` explains its last hold."""
    kind, _, edge = reason.partition(": ")
    if kind == Reason.HARM and edge == "errors":
        return "the canary fails more of its requests than the stable release does"
    if kind == Reason.HARM and edge == "slowing":
        return "the canary has become slower than it was, beside the stable release"
    if kind == Reason.HARM:
        limit = edge.removesuffix("s")
        return f"more of the canary's requests take over {limit} s than of the stable release's"
    if kind == Reason.BREACH:
        limit = f"{plan.objective.error_ratio * 100:g}"
        return f"with all traffic, the canary fails more than {limit} % of its requests"
    if kind == Reason.SILENT:
        return "the canary gives no successful answer"
    if kind == Reason.SLOWER:
        return "with all traffic, the canary is slower than the stable release was before"
    if kind == Reason.GATE:
        return f"a gate refused: {edge}"
    if kind == Reason.PODS:
        return f"the pods did not become ready in time: {edge}"
    if kind == Reason.ABORTED:
        return "a person aborted the rollout"
    if kind == Reason.DEADLINE:
        waiting = f" while the rollout waited: {last_hold}" if last_hold else ""
        return f"the plan's deadline passed{waiting}"
    if kind == Reason.GOOD and plan.strategy is not Strategy.WALK:
        return "the canary meets the objective and is not worse than the stable release"
    return ""


def describe_canary_traffic(plan: Plan, step: int) -> str:
    """Say which requests the canary gets while routes can't be changed; -1 is before any step."""
    share = plan.steps[max(step, 0)].share
    if share is None:
        return "the canary still gets the requests that ask for it"
    if share == 0:
        return "as far as is known, the canary gets no requests"
    return f"the canary still gets {share * 100:.4g} % of the requests"
