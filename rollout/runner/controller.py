"""The control loop of a rollout: read evidence, decide, change the routes, save the state."""

from __future__ import annotations

import asyncio
from typing import Final

from ..evidence import Evidence
from ..evidence.windows import WindowBuilder
from ..plan.model import Plan
from .decision_maker import BACK, FORWARD, DecisionMaker
from .decisions import Action, Decision, Reason, Verdict
from .deliberation import deliberate, name_reason
from .ports import Ports
from .reasons import describe_canary_traffic, explain_missing_proof
from .release_end import ReleaseEnd
from .release_state import ReleaseState
from .rollout_state import PlanChanged, RolloutState, check_same_images
from .route_change import RouteChange
from .state_store import StateTaken

_WORKLOADS_MISSING: Final = (
    "this rollout changes the pods of its workloads, and the plan names none any more; restore"
    " workloads in plan.yaml"
)


class Controller:
    """Runs one rollout, from its first step or from where an earlier runner stopped.

    The order of writes makes a kill harmless at any moment. The evidence is saved together with the
    snapshot it was computed from, so no request counts twice. A decision is saved before the routes
    are changed, and the next runner carries it out if they were not; a step up only if the evidence
    of that moment says so again.

    It goes on while the state, the target or the source fail. It changes nothing while it can't be
    sure of its hold, and takes no step up that it can't save.
    """

    def __init__(self, plan: Plan, ports: Ports, *, again: bool = False) -> None:
        """With ``again``, start a new rollout if the last one has ended or its state is damaged."""
        self._again = again
        self._plan = plan
        self._ports = ports
        self._maker = DecisionMaker(plan, ports)
        self._route_change = RouteChange(plan, ports, self._maker)
        self._state: RolloutState | None = None

    def describe_traffic(self) -> str:
        """Say what the canary gets, as far as this runner knows; empty before it knows."""
        if (state := self._state) is None:
            return ""
        now = describe_canary_traffic(self._plan, state.known_step)
        if state.intended == state.known_step:
            return now
        then = self._plan.steps[state.intended].name
        return f"{now}, or what step {then} gives it if the change that was begun was made"

    async def run(self) -> Verdict:
        """Run to the verdict.

        Raise StateFailed (another runner holds the rollout, or the state is damaged), PlanChanged,
        or ManagedByOther (another controller manages the weights).
        """
        while True:
            try:
                async with self._ports.store.hold():
                    return await self._run_held()
            except StateTaken:
                # If that runner is alive, ``hold`` refuses now. Else this one goes on.
                self._maker.look_anew()

    async def _run_held(self) -> Verdict:
        state = self._state = await self._start_or_resume()
        while not state.ended:
            if state.verdict is not None and state.step == state.intended and state.release:
                await self._end_release(state)
            elif state.step != state.intended or state.verdict is not None:
                await self._route_change.attempt(state)
            else:
                await self._poll(state)
        if self._maker.keeper.trouble:
            await self._maker.keeper.save_verdict(state, self._maker.seen.now())
        verdict = Verdict(state.verdict or "")
        before = state.told, state.end_recorded
        await self._ports.recorder.record_verdict(state, verdict, state.reason or "")
        if (state.told, state.end_recorded) != before:
            await self._maker.save(state)
        # A command that came too late must not affect the next rollout.
        await self._maker.inbox.clear()
        return verdict

    async def _start_or_resume(self) -> RolloutState:
        state = await self._maker.keeper.load(again=self._again)
        self._maker.fresh = False
        self._maker.inbox.resume(None if state is None else state.obeyed)
        if state is not None:
            if self._ports.images:
                check_same_images(state, self._ports.images)
            self._maker.seen.resume(state)
            await self._ports.recorder.record_start(state, resumed=True)
            return state
        if self._maker.keeper.replaces:
            # The runner before may have been killed before it removed what came too late.
            await self._maker.inbox.clear()
        now = self._maker.seen.now()
        objective = self._plan.objective
        state = RolloutState(
            since=now,
            step_since=now,
            change_since=now,
            evidence=Evidence(objective),
            windows=WindowBuilder(len(objective.slow_seconds)),
        )
        if self._ports.workloads:
            pods = await self._ports.workloads.count_stable()
            state.release = ReleaseState(images=self._ports.images, stable_pods=pods)
        await self._ports.recorder.record_start(state, resumed=False)
        await self._maker.save(state)
        return state

    async def _poll(self, state: RolloutState) -> None:
        """Read evidence and decide once. Hold until the next poll, or save the decision."""
        began = self._ports.monotonic()
        # The routes before the requests: those that came since somebody changed them fit no step.
        # Both questions at once: each may take seconds with a slow API server.
        pending, drift = await asyncio.gather(
            self._maker.inbox.pending(), self._maker.seen.find_drift(state)
        )
        no_source = await self._maker.seen.read(state)
        smoke_test_failure = await self._maker.run_smoke_tests(state)
        await self._maker.obey(state, pending)
        decision, not_ready = await self._maker.review(state)
        unsure = self._ports.store.why_not_held()
        blocked = bool(drift[0] or unsure)
        wanted = decision.action in BACK or (decision.action in FORWARD and not blocked)
        if wanted and await self._maker.save_decision(state, decision, not_ready):
            return
        if decision.reason is Reason.PLAN_PAUSE:
            state.begin_pause(self._maker.seen.now())
        # Record one reason for each poll. If there are several, choose one that a person can fix.
        reason, detail = decision.reason.value, not_ready
        if unsure:
            reason, detail = "hold", unsure
        elif self._maker.keeper.trouble:
            reason, detail = "state", self._maker.keeper.trouble
        elif drift[0]:
            reason, detail = drift
        elif no_source:
            reason, detail = "source", no_source
        elif self._maker.inbox.damage:
            reason, detail = "command", self._maker.inbox.damage
        elif decision.reason is Reason.SMOKE_TESTS:
            detail = smoke_test_failure
        elif decision.reason is Reason.NO_DATA:
            detail = self._ports.explain_missing_data()
        elif decision.reason is Reason.NOT_PROVEN:
            detail = explain_missing_proof(self._plan, state.evidence, state.canary_rate)
        state.held = "" if reason == Reason.STEP_TIME.value else f"{reason}: {detail}".rstrip(": ")
        await self._ports.recorder.record_hold(state, reason, detail)
        await self._maker.save(state)
        await self._maker.wait(began)

    async def _end_release(self, state: RolloutState) -> None:
        """Go on with what follows the last step; ``run`` calls this until it has ended."""
        if state.release is None or self._ports.workloads is None:
            raise PlanChanged(_WORKLOADS_MISSING)
        began = self._ports.monotonic()
        await self._maker.obey(state, await self._maker.inbox.pending())
        # Each change is saved before it is made, and made only by who holds the rollout.
        if why := self._ports.store.why_not_held() or self._maker.keeper.trouble:
            await self._route_change.stay(state, why)
            return
        end = ReleaseEnd(self._plan, self._ports.workloads, self._ports.recorder, self._maker.save)
        now = self._maker.seen.now()
        if not await end.go_on(state, state.release, now, lambda: self._watch(state)):
            await self._maker.wait(began)

    async def _watch(self, state: RolloutState) -> str | None:
        """Read evidence with all requests on the canary; return the reason to go back."""
        await self._maker.seen.read(state)
        decision, detail = deliberate(self._plan, state, self._maker.seen.now()), ""
        if self._ports.gates is not None and decision.action not in BACK:
            decision = Decision(Action.HOLD, Reason.PODS, state.step)
            decision, detail = self._ports.gates.review(state, decision, self._maker.seen.now())
        # No old release is left to compare it with: a step back is the whole way back.
        is_back = decision.action in {Action.STEP_BACK, Action.ROLL_BACK}
        return name_reason(state, decision, detail) if is_back else None
