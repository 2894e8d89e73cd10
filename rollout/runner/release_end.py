"""The end of a release with workloads of its own: the stable pods become the new release.

After a promotion the stable pods get the canary's template while they get no requests; then the
requests return to them, and the canary is scaled down. After a rollback the requests are back
already, and the canary is scaled down. An abort, a failing canary or stable pods that never become
ready turn a promotion back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..plan.model import Plan
from .decisions import Action, Decision, Reason, Verdict
from .pod_checks import is_out_of_time, look
from .ports import Recorder, TargetFailed
from .release_state import Phase, ReleaseState
from .rollout_state import RolloutState
from .workloads import Workloads

#: Reports evidence of the last step; returns the reason to go back, None if there is none.
Watch = Callable[[], Awaitable[str | None]]


class ReleaseEnd:
    """Goes on with the end of a release, one change at a time, each saved before it is made."""

    def __init__(
        self,
        plan: Plan,
        workloads: Workloads,
        recorder: Recorder,
        save: Callable[[RolloutState], Awaitable[object]],
    ) -> None:
        self._plan = plan
        self._workloads = workloads
        self._recorder = recorder
        self._save = save

    async def go_on(
        self, state: RolloutState, release: ReleaseState, now: float, watch: Watch
    ) -> bool:
        """Do the next thing; return False if it is to be waited for.

        The routes of ``state.step`` are in force, and the rollout has a verdict.
        """
        last = len(self._plan.steps) - 1
        turned_back = release.phase in {Phase.STABLE_PODS, Phase.RETURN} and (
            Reason.ABORTED.value if state.aborted else None
        )
        if release.phase is Phase.STABLE_PODS and not turned_back:
            turned_back = await watch()
        if turned_back:
            return await self._turn_back(state, release, turned_back)
        match release.phase:
            case Phase.WALK:
                promoted = state.verdict == Verdict.PROMOTED.value
                return await self._begin(
                    state, release, Phase.STABLE_PODS if promoted else Phase.RETIRE
                )
            case Phase.STABLE_PODS:
                return await self._give_template(state, release, now)
            case Phase.RETURN:
                return await self._return_requests(state, release, now)
            case Phase.RESTORE if state.step != last:
                return await self._move(state, last, Reason.RETURNING)
            case Phase.RESTORE:
                pods = await look(self._workloads.restore)
                if pods.ready:
                    return await self._begin(state, release, Phase.RETIRE)
                # There is nothing further to go back to: the canary serves, and a person is told.
                return await self._hold(state, pods.detail)
            case Phase.RETIRE if state.step != 0:
                return await self._move(state, 0, Reason.RETURNING)
            case Phase.RETIRE:
                try:
                    await self._workloads.retire()
                except TargetFailed as failed:
                    return await self._hold(state, str(failed))
                state.ended = True
                # If this fails, the controller saves the verdict with more patience.
                await self._save(state)
                return True

    async def _give_template(self, state: RolloutState, release: ReleaseState, now: float) -> bool:
        if state.paused:
            return await self._hold(state, "", Reason.PAUSED)
        pods = await look(lambda: self._workloads.promote(release))
        if pods.ready:
            return await self._begin(state, release, Phase.RETURN)
        if is_out_of_time(release, pods, now):
            return await self._turn_back(state, release, f"{Reason.PODS.value}: {pods.detail}")
        return await self._hold(state, pods.detail)

    async def _return_requests(
        self, state: RolloutState, release: ReleaseState, now: float
    ) -> bool:
        if state.step == 0:
            return await self._begin(state, release, Phase.RETIRE)
        if state.paused:
            return await self._hold(state, "", Reason.PAUSED)
        pods = await look(lambda: self._workloads.promote(release))
        if pods.ready:
            release.waiting_since = None
            return await self._move(state, state.step - 1, Reason.RETURNING)
        if is_out_of_time(release, pods, now):
            return await self._turn_back(state, release, f"{Reason.PODS.value}: {pods.detail}")
        return await self._hold(state, pods.detail)

    async def _turn_back(self, state: RolloutState, release: ReleaseState, reason: str) -> bool:
        state.verdict = Verdict.ROLLED_BACK.value
        state.reason = reason
        release.phase, release.waiting_since = Phase.RESTORE, None
        # Also if it can't be saved: the next runner would find the same reason.
        await self._save(state)
        return True

    async def _begin(self, state: RolloutState, release: ReleaseState, phase: Phase) -> bool:
        """Save the next phase; stay in this one while that fails."""
        before = release.phase
        release.phase, release.waiting_since = phase, None
        if not await self._save(state):
            release.phase = before
            return False
        return True

    async def _move(self, state: RolloutState, step: int, reason: Reason) -> bool:
        """Save that another step is intended; the controller puts it in force."""
        if step != state.step:
            state.intended = step
            if not await self._save(state):
                state.intended = state.step
                return False
            await self._recorder.record_step(state, Decision(Action.ADVANCE, reason, step))
        return True

    async def _hold(self, state: RolloutState, detail: str, reason: Reason = Reason.PODS) -> bool:
        state.held = f"{reason.value}: {detail}".rstrip(": ")
        await self._recorder.record_hold(state, reason.value, detail)
        await self._save(state)
        return False
