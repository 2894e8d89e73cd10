"""The control loop of a rollout: read evidence, decide, change the routes, save the state."""

from __future__ import annotations

from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Window
from ..evidence.windows import increase
from ..plan.model import Plan, Strategy
from .decisions import (
    VERDICTS,
    Action,
    Decision,
    Progress,
    Reason,
    Verdict,
    decide,
    has_requests_for_every_arm,
    is_outage,
)
from .ports import ManagedByOther, Ports, SourceFailed, TargetFailed
from .reasons import describe_canary_traffic, explain_missing_proof
from .rollout_state import RolloutState
from .state_store import ControlCommand

#: How often the controller looks for control commands between two polls.
_COMMAND_POLL_SECONDS: Final = 0.5
#: Actions that are carried out even if the current routes are not the expected ones.
_BACK: Final = frozenset({Action.ROLL_BACK, Action.INCONCLUSIVE})


class Controller:
    """Runs one rollout, from its first step or from where an earlier runner stopped.

    The order of writes makes a kill harmless at any moment. The evidence is saved together with the
    snapshot it was computed from, so no request counts twice. A decision is saved before the routes
    are changed, and the next runner carries it out if they were not.
    """

    def __init__(self, plan: Plan, ports: Ports, *, again: bool = False) -> None:
        """With ``again``, start a new rollout if the last one has ended; else continue it."""
        self._again = again
        self._plan = plan
        self._ports = ports
        #: During this time (from, to) failed attempts may have changed the routes.
        self._uncertain = (0.0, 0.0)
        #: True if the intended routes were found in force after a failed attempt.
        self._applied = False

    async def run(self) -> Verdict:
        """Run to the verdict.

        Raise StateFailed (another runner holds the rollout, or the state is damaged), PlanChanged,
        or ManagedByOther (another controller manages the weights).
        """
        store = self._ports.store
        async with store.hold():
            state = await self._start_or_resume()
            while not state.ended:
                if state.step != state.intended or state.verdict is not None:
                    await self._change_routes(state)
                else:
                    await self._poll(state)
            verdict = Verdict(state.verdict or "")
            await self._ports.recorder.record_verdict(state, verdict, state.reason or "")
            # A command that came too late must not affect the next rollout.
            if late := await store.pending_command():
                await store.acknowledge(late)
            return verdict

    async def _start_or_resume(self) -> RolloutState:
        saved = await self._ports.store.load()
        if saved is not None and not (self._again and saved.get("ended")):
            state = RolloutState.load(self._plan, saved)
            await self._ports.recorder.record_start(state, resumed=True)
            return state
        now = self._ports.clock()
        state = RolloutState(
            since=now, step_since=now, change_since=now, evidence=Evidence(self._plan.objective)
        )
        await self._ports.recorder.record_start(state, resumed=False)
        await self._save(state)
        return state

    async def _poll(self, state: RolloutState) -> None:
        """Read evidence and decide once. Hold until the next poll, or save the decision."""
        await self._obey_command(state)
        no_source = await self._observe(state)
        smoke_test_failure = await self._run_smoke_tests(state)
        drift = await self._find_drift(state)
        decision = self._decide(state)
        if decision.action in _BACK or (decision.action is not Action.HOLD and not drift):
            await self._save_decision(state, decision)
            return
        # Record one reason for each poll. If there are several, choose one that a person can fix.
        if drift:
            reason, detail = "drift", drift
        elif no_source:
            reason, detail = "source", no_source
        else:
            reason, detail = decision.reason.value, ""
            if decision.reason is Reason.SMOKE_TESTS:
                detail = smoke_test_failure
            elif decision.reason is Reason.NO_DATA:
                detail = self._ports.explain_missing_data()
            elif decision.reason is Reason.NOT_PROVEN:
                detail = explain_missing_proof(self._plan, state.evidence)
        await self._ports.recorder.record_hold(state, reason, detail)
        await self._save(state)
        await self._wait()

    async def _obey_command(self, state: RolloutState) -> None:
        pending = await self._ports.store.pending_command()
        if pending is None:
            return
        command = pending.command
        if command is ControlCommand.ABORT:
            state.aborted = True
        else:
            state.paused = command is ControlCommand.PAUSE
        await self._ports.recorder.record_command(state, command)
        await self._save(state)
        await self._ports.store.acknowledge(pending)

    async def _observe(self, state: RolloutState) -> str:
        """Add the requests since the last poll to the evidence; return why none could be read."""
        try:
            snapshot = await self._ports.source.read()
        except SourceFailed as failed:
            return str(failed)
        if state.previous is None:
            state.previous = snapshot
            return ""
        step = self._plan.steps[state.step]
        edges = len(self._plan.objective.slow_seconds)
        window, state.previous = increase(state.previous, snapshot, edges=edges)
        if window.since == window.until or self._may_contain_change(state, window):
            return ""
        # An attempt that failed may have changed the weights, so the split is unknown.
        share = step.share if state.step == state.intended else None
        # In a blue-green rollout, preview requests choose green themselves.
        split = self._plan.strategy is not Strategy.BLUE_GREEN
        state.evidence.observe(window, share, split=split)
        if has_requests_for_every_arm(step, window):
            state.data_at = window.until
        if is_outage(step, window):
            state.outage_at = window.until
        await self._ports.recorder.record_window(state, window, share)
        return ""

    def _may_contain_change(self, state: RolloutState, window: Window) -> bool:
        """Return True if the weights may have changed within the window.

        Such a window mixes requests from before and after the change. An outage on one side of the
        change would then look like a failure of one release.
        """
        changes = [self._uncertain]
        if state.step == state.intended:
            changes.append((state.change_since, state.step_since))
        return any(window.since < end and window.until > start for start, end in changes)

    async def _run_smoke_tests(self, state: RolloutState) -> str:
        """Run the plan's smoke tests until they have passed once; return what was wrong."""
        if state.smoke_tests_passed or state.step > 0:
            return ""
        for test in self._plan.smoke_tests:
            if failure := await self._ports.run_smoke_test(test):
                return failure
        state.smoke_tests_passed = True
        return ""

    async def _find_drift(self, state: RolloutState) -> str:
        """Return how the routes differ from the step in force, an empty text if they don't."""
        step = self._plan.steps[state.step]
        try:
            if await self._ports.target.in_force(step):
                return ""
        except TargetFailed as failed:
            return str(failed)
        return (
            f"the routes differ from step {step.name}: someone else changed them;"
            " restore them, or abort the rollout"
        )

    def _decide(self, state: RolloutState) -> Decision:
        progress = Progress(
            step=state.step,
            step_since=state.step_since,
            since=state.since,
            data_at=state.data_at,
            outage_at=state.outage_at,
            paused=state.paused,
            aborted=state.aborted,
            smoke_tests_passed=state.smoke_tests_passed,
        )
        return decide(self._plan, progress, state.evidence, self._ports.clock())

    async def _save_decision(self, state: RolloutState, decision: Decision) -> None:
        verdict = VERDICTS.get(decision.action)
        state.intended = decision.step
        state.verdict = None if verdict is None else verdict.value
        state.reason = decision.reason.value
        if decision.reason is Reason.HARM:
            state.reason = f"harm: {state.evidence.worst}"
        state.change_since = self._ports.clock()
        self._uncertain, self._applied = (0.0, 0.0), False
        await self._save(state)
        await self._ports.recorder.record_step(state, decision)

    async def _change_routes(self, state: RolloutState) -> None:
        """Try once to apply the intended step; ``run`` calls this until it succeeds."""
        started = self._ports.clock()
        try:
            await self._ports.target.apply(self._plan.steps[state.intended])
        except ManagedByOther as error:
            detail = f"{error}; {describe_canary_traffic(self._plan, state.step)}"
            await self._ports.recorder.record_hold(state, "not-ours", detail)
            raise ManagedByOther(detail) from error
        except TargetFailed as failed:
            await self._ports.recorder.record_hold(state, "target", str(failed))
            await self._note_uncertain_change(state, started)
            await self._wait()
            # Always, because a pending command ends every wait at once.
            await self._obey_command(state)
            if state.verdict is None:
                await self._reconsider(state)
            return
        state.step = state.intended
        state.step_since = self._ports.clock()
        state.ended = state.verdict is not None
        await self._save(state)

    async def _note_uncertain_change(self, state: RolloutState, started: float) -> None:
        """Note that a failed attempt, begun at ``started``, may have changed the routes."""
        if self._applied:
            return  # further attempts change nothing
        steps, target = self._plan.steps, self._ports.target
        try:
            if state.step >= 0 and await target.in_force(steps[state.step]):
                return
            self._applied = await target.in_force(steps[state.intended])
        except TargetFailed:
            pass  # the target can't be read, but it may have applied the change
        self._uncertain = self._uncertain[0] or started, self._ports.clock()

    async def _reconsider(self, state: RolloutState) -> None:
        """Go back instead of forward if new evidence says so."""
        if state.step >= 0:
            await self._observe(state)
        decision = self._decide(state)
        if decision.action in _BACK:
            await self._save_decision(state, decision)
        else:
            await self._save(state)

    async def _wait(self) -> None:
        """Wait for the next poll, or until a control command is pending."""
        left = self._plan.poll_seconds
        while left > 0 and await self._ports.store.pending_command() is None:
            await self._ports.sleep(min(left, _COMMAND_POLL_SECONDS))
            left -= _COMMAND_POLL_SECONDS

    async def _save(self, state: RolloutState) -> None:
        await self._ports.store.save(state.dump(self._plan))
