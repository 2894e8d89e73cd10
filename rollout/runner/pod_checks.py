"""Lets no step begin before the pods for it are ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..plan.model import Step
from .decisions import Action, Decision, Reason
from .ports import TargetFailed
from .release_state import ReleaseState
from .rollout_state import RolloutState
from .workloads import Pods, Workloads

#: Of a plan whose step lets requests choose the canary themselves: they may be all of them.
_UNKNOWN_SHARE = 1.0
#: The deadline of pods of which nothing is known.
_UNKNOWN_SECONDS = float("inf")


class PodChecks:
    """Reviews a decision with regard to the pods of a plan's workloads."""

    def __init__(self, workloads: Workloads, steps: tuple[Step, ...]) -> None:
        self._workloads = workloads
        self._steps = steps

    async def review(
        self, state: RolloutState, release: ReleaseState, decision: Decision, now: float
    ) -> tuple[Decision, str]:
        """Return what to do instead and why: hold, or roll back if the pods had their time.

        A step back is never reviewed.
        """
        if decision.action in {Action.STEP_BACK, Action.ROLL_BACK, Action.INCONCLUSIVE}:
            return decision, ""
        share = self._steps[decision.step].share
        pods = await look(
            lambda: self._workloads.prepare(release, _UNKNOWN_SHARE if share is None else share)
        )
        if pods.ready:
            release.waiting_since = None
            return decision, ""
        if is_out_of_time(release, pods, now):
            return Decision(Action.ROLL_BACK, Reason.PODS, 0), pods.detail
        return Decision(Action.HOLD, Reason.PODS, state.step), pods.detail


async def look(action: Callable[[], Awaitable[Pods]]) -> Pods:
    """Call a method of Workloads; a failure counts as pods that are not ready."""
    try:
        return await action()
    except TargetFailed as failed:
        # While the API can't be asked nothing is known of the pods: their time does not pass.
        return Pods(ready=False, detail=str(failed), deadline_seconds=_UNKNOWN_SECONDS)


def is_out_of_time(release: ReleaseState, pods: Pods, now: float) -> bool:
    """Return True if pods that are not ready had their time; note since when they are awaited."""
    if pods.deadline_seconds == _UNKNOWN_SECONDS:
        # Their time begins when they can be seen: perhaps they were only asked for then.
        release.waiting_since = None
        return False
    if release.waiting_since is None:
        release.waiting_since = now
    return pods.hopeless or now - release.waiting_since >= pods.deadline_seconds
