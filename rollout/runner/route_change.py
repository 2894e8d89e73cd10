"""Changes the routes to the step that was decided on, if that is still right, or goes back."""

from __future__ import annotations

import asyncio

from ..plan.model import Plan
from .decision_maker import BACK, COMMAND_POLL_SECONDS, FORWARD, DecisionMaker
from .decisions import Verdict
from .deliberation import deliberate
from .ports import ManagedByOther, Ports, RoutesEdited, TargetFailed
from .reasons import describe_canary_traffic
from .rollout_state import RolloutState
from .state_store import ControlCommand


class RouteChange:
    """Tries to put the intended step in force. It changes nothing without a sure hold."""

    def __init__(self, plan: Plan, ports: Ports, maker: DecisionMaker) -> None:
        self._plan = plan
        self._ports = ports
        self._maker = maker

    async def attempt(self, state: RolloutState) -> None:
        """Try once to apply the intended step; the controller calls this until it succeeds."""
        is_forward = self._is_forward(state)
        if unsure := self._ports.store.why_not_held():
            await self.stay(state, unsure)
            return
        if is_forward and state.step >= 0 and not await self._is_still_right(state):
            return
        try:
            await self._apply(state, is_forward=is_forward)
        except TargetFailed as failed:
            if isinstance(failed, ManagedByOther) and not isinstance(failed, RoutesEdited):
                detail = f"{failed}; {describe_canary_traffic(self._plan, state.known_step)}"
                await self._ports.recorder.record_hold(state, "not-ours", detail)
                raise ManagedByOther(detail) from failed
            await self._maker.seen.note_failed_change(state)
            await self.stay(state, str(failed))
            return
        if state.step != state.intended or state.verdict is None:
            state.step_since = self._maker.seen.now()
        if state.step not in {-1, state.intended}:
            state.other_step = state.step
        state.step = state.intended
        if state.exposed_at is None and self._plan.steps[state.step].share != 0:
            state.exposed_at = state.step_since
        if state.verdict is None:
            state.enter_step(self._plan)
        state.ended, state.held = state.verdict is not None and state.release is None, ""
        await self._maker.save(state)

    def _is_forward(self, state: RolloutState) -> bool:
        """Return True if the change gives the canary more requests, or is the last one."""
        if state.verdict is None:
            return state.intended > state.step
        # With workloads, what follows a promotion has its own ways back.
        return state.verdict == Verdict.PROMOTED.value and state.release is None

    async def _apply(self, state: RolloutState, *, is_forward: bool) -> None:
        """Apply the intended step; raise TargetFailed, also if an abort arrives meanwhile."""
        target = self._ports.target
        applying = asyncio.ensure_future(target.apply(self._plan.steps[state.intended]))
        try:
            while is_forward:
                done, _ = await asyncio.wait({applying}, timeout=COMMAND_POLL_SECONDS)
                if done:
                    break
                if await self._maker.inbox.pending() is ControlCommand.ABORT:
                    raise TargetFailed("the rollout was aborted while the step was taken")
            await applying
        finally:
            applying.cancel()
            await asyncio.gather(applying, return_exceptions=True)

    async def _is_still_right(self, state: RolloutState) -> bool:
        """Look at the evidence and the commands again, right before a step up or a promotion.

        A decision from before a failure or a restart is not carried out: it is made again, unless
        the routes have already been changed.
        """
        await self._maker.obey(state, await self._maker.inbox.pending())
        await self._maker.seen.read(state)
        decision, detail = await self._maker.review(state)
        if decision.action in BACK:
            await self._maker.save_decision(state, decision, detail)
            return False
        if self._maker.fresh and decision.action in FORWARD:
            return True
        try:
            steps, target = self._plan.steps, self._ports.target
            if state.step != state.intended and await target.in_force(steps[state.intended]):
                return True
            is_before = await target.in_force(steps[state.step])
            if not is_before and await target.is_between(steps[state.step], steps[state.intended]):
                # An earlier runner has changed some objects: back to what is known to be right.
                await target.apply(steps[state.step])
                is_before = True
            if is_before:
                # Perhaps only now: that runner may have been killed after it had put them back.
                state.uncertain_until = self._maker.seen.now()
                self._maker.forget_decision(state, state.change_since)
                await self._maker.save(state)
                return False
        except TargetFailed as failed:
            await self.stay(state, str(failed))
            return False
        await self.stay(state, "the routes are neither those before the step nor those after it")
        return False

    async def stay(self, state: RolloutState, why: str) -> None:
        """Wait for the next attempt to change the routes; go back instead if the evidence says."""
        self._maker.fresh = False
        reason = "hold" if self._ports.store.why_not_held() else "target"
        state.held = f"{reason}: {why}"
        await self._ports.recorder.record_hold(state, reason, why)
        await self._maker.wait(self._ports.monotonic())
        # Always, because a pending command ends every wait at once.
        await self._maker.obey(state, await self._maker.inbox.pending())
        if state.step >= 0:
            await self._maker.seen.read(state)
        if state.verdict is None or self._is_forward(state):
            decision = deliberate(self._plan, state, self._maker.seen.now())
            if decision.action in BACK:
                await self._maker.save_decision(state, decision)
                return
        await self._maker.save(state)
