"""Commands and decisions of a rollout: obeyed, reviewed, and saved before they are carried out."""

from __future__ import annotations

from typing import Final

from ..plan.model import Plan
from .command_inbox import CommandInbox
from .decisions import VERDICTS, Action, Decision
from .deliberation import deliberate, name_reason
from .observation import Observation
from .pod_checks import PodChecks
from .ports import Ports
from .rollout_state import RolloutState
from .state_keeper import StateKeeper
from .state_store import ControlCommand

#: How often control commands are looked for between two polls.
COMMAND_POLL_SECONDS: Final = 0.5
#: Actions that are carried out even if the current routes are not the expected ones, and before
#: the state is saved if it can't be: they take requests away from the canary.
BACK: Final = frozenset({Action.STEP_BACK, Action.ROLL_BACK, Action.INCONCLUSIVE})
FORWARD: Final = frozenset({Action.ADVANCE, Action.PROMOTE})


class DecisionMaker:
    """Decides by what is seen, told and allowed. It changes no routes.

    ``fresh`` is False once a decided step may be older than the evidence: after a failure, or a
    restart.
    """

    def __init__(self, plan: Plan, ports: Ports) -> None:
        self._plan = plan
        self._ports = ports
        self.seen = Observation(plan, ports)
        self.inbox = CommandInbox(ports.store)
        self.keeper = StateKeeper(plan, ports)
        self.fresh = False

    def look_anew(self) -> None:
        """Forget what was seen so far: another runner was at work meanwhile."""
        self.seen = Observation(self._plan, self._ports)

    async def obey(self, state: RolloutState, pending: ControlCommand | None) -> None:
        """Carry out a command; it stays pending until the state is saved."""
        if pending is None:
            return
        if self.inbox.is_new:
            if pending is ControlCommand.ABORT:
                state.aborted = True
            elif pending is ControlCommand.PAUSE:
                state.paused = True
                state.begin_pause(self.seen.now())
            else:
                state.resume(self.seen.now())
            state.obeyed = self.inbox.note_obeyed()
            await self._ports.recorder.record_command(state, pending)
        if await self.save(state):
            await self.inbox.acknowledge()

    async def run_smoke_tests(self, state: RolloutState) -> str:
        """Run the plan's smoke tests until they have passed once; return what was wrong."""
        if state.smoke_tests_passed or state.step > 0:
            return ""
        for test in self._plan.smoke_tests:
            if failure := await self._ports.run_smoke_test(test):
                return failure
        state.smoke_tests_passed = True
        return ""

    async def review(self, state: RolloutState) -> tuple[Decision, str]:
        """Decide; let nothing but a way back begin before gates are open and pods are ready."""
        now, detail = self.seen.now(), ""
        decision = deliberate(self._plan, state, now)
        if self._ports.gates is not None:
            decision, detail = self._ports.gates.review(state, decision, now)
        if state.release is None or self._ports.workloads is None:
            return decision, detail
        checks = PodChecks(self._ports.workloads, self._plan.steps)
        decision, missing = await checks.review(state, state.release, decision, now)
        return decision, missing or detail

    async def save_decision(
        self, state: RolloutState, decision: Decision, detail: str = ""
    ) -> bool:
        """Save a decision; return False, and forget it, if it is a step up that can't be saved."""
        step, change_since = state.step, state.change_since
        verdict = VERDICTS.get(decision.action)
        state.intended = decision.step
        state.verdict = None if verdict is None else verdict.value
        state.reason = name_reason(state, decision, detail)
        if decision.action is Action.STEP_BACK:
            state.stepped_back = True
            state.evidence.forget_alone()
        if verdict is not None and state.release is not None and decision.step == state.step:
            # A change that was begun may have been made: the routes come first, then the pods.
            state.step = -1
        state.change_since = self.seen.now()
        self.seen.note_decision()
        if not await self.save(state) and decision.action in FORWARD:
            state.step = step
            self.forget_decision(state, change_since)
            return False
        self.fresh = True
        await self._ports.recorder.record_step(state, decision)
        return True

    def forget_decision(self, state: RolloutState, change_since: float) -> None:
        """Stay at the step in force; the next poll decides again."""
        if state.intended != state.step:
            state.other_step = state.intended
        state.intended, state.verdict, state.reason = state.step, None, None
        state.change_since = change_since

    async def wait(self, since: float) -> None:
        """Wait for the next poll, a while after ``since``, or until a command is pending."""
        while True:
            left = self._plan.poll_seconds - (self._ports.monotonic() - since)
            if left <= 0 or (await self.inbox.pending() is not None and self.inbox.is_new):
                # Never without a pause: what fails at once would be asked without end.
                await self._ports.sleep(0)
                return
            await self._ports.sleep(min(left, COMMAND_POLL_SECONDS))

    async def save(self, state: RolloutState) -> bool:
        """Save the state; return False if that is not possible now."""
        return await self.keeper.save(state, self.seen.now())
