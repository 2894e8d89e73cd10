"""The control loop of a rollout: read evidence, decide, change the routes, save the state."""

from __future__ import annotations

from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Arm, Window
from ..evidence.windows import WindowBuilder, sum_windows
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
#: So many requests the canary must have answered before its latencies count without a baseline.
_WARM_REQUESTS: Final = 150
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
        #: False before the first snapshot: the state's times are then by this machine's clock.
        self._shifted = False
        #: The last snapshot's time, and the monotonic time at which it was read.
        self._read_at: tuple[float, float] | None = None
        #: True if the routes were not those of the step when they were last read.
        self._drift = False
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
            self._shifted = True
            state = RolloutState.load(self._plan, saved)
            await self._ports.recorder.record_start(state, resumed=True)
            return state
        now = self._now()
        objective = self._plan.objective
        state = RolloutState(
            since=now,
            step_since=now,
            change_since=now,
            evidence=Evidence(objective),
            windows=WindowBuilder(len(objective.slow_seconds)),
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
        before = state.windows.at
        self._note_time(state, snapshot.at)
        whole: list[Window] = []
        cut: list[Window] = []
        for window in state.windows.add(snapshot):
            (cut if self._may_contain_change(state, window) else whole).append(window)
        seconds = 0.0 if before is None else snapshot.at - before
        self._listen(state, seconds, paired=snapshot.paired)
        for windows in (cut, whole):
            if windows:
                await self._observe_window(state, sum_windows(windows), whole=windows is whole)
        return ""

    def _listen(self, state: RolloutState, seconds: float, *, paired: bool) -> None:
        """Look whether the canary answers, once all samples are of the step in force."""
        step = self._plan.steps[state.step]
        settled = self._now() - state.step_since >= state.windows.interval
        known = settled and state.step == state.intended and not self._drift
        state.evidence.listen(
            state.windows.latest,
            step.share if known else None,
            seconds,
            awaited=not paired and state.windows.is_awaited(Arm.CANARY),
            # Pods are sampled at different times.
            least_seconds=0.0 if paired else 2 * state.windows.interval,
        )

    async def _observe_window(self, state: RolloutState, window: Window, *, whole: bool) -> None:
        """Add a window; it is not ``whole`` if the weights may have changed within it."""
        step = self._plan.steps[state.step]
        # An attempt that failed may have changed the weights, so the split is unknown.
        known = whole and state.step == state.intended and not self._drift
        share = step.share if known else None
        shares = [self._plan.steps[each].share for each in (state.step, state.intended)]
        if not known and None in shares:
            return
        # In a blue-green rollout, preview requests choose green themselves.
        split = self._plan.strategy is not Strategy.BLUE_GREEN
        state.evidence.observe(
            window,
            share,
            split=split,
            # Of all shares within the window, the greatest explains most failures of the canary.
            least_share=0.0 if known else max(each or 0.0 for each in shares),
            warm=self._is_warm(state, window),
        )
        if whole and has_requests_for_every_arm(step, window):
            state.data_at = window.until
        if is_outage(step, window):
            state.outage_at = window.until
        await self._ports.recorder.record_window(state, window, share)

    def _is_warm(self, state: RolloutState, window: Window) -> bool:
        """Return False while the canary's pods may be slow because they are young."""
        seconds = min(self._plan.warm_up_seconds, self._plan.step_seconds)
        return (
            state.exposed_at is not None
            and state.evidence.canary.requests >= _WARM_REQUESTS
            and window.since >= state.exposed_at + seconds
            and window.since >= state.step_since + seconds / 2
        )

    def _now(self) -> float:
        """Return the time by the source's clock; before the first snapshot, by this machine's."""
        if self._read_at is None:
            return self._ports.clock()
        at, read = self._read_at
        return at + self._ports.monotonic() - read

    def _note_time(self, state: RolloutState, at: float) -> None:
        """Note the source's time; the first time, shift a new state's times to its clock."""
        if not self._shifted:
            shift = at - self._now()
            state.since += shift
            state.step_since += shift
            state.change_since += shift
            if state.exposed_at is not None:
                state.exposed_at += shift
            self._shifted = True
        self._read_at = at, self._ports.monotonic()

    def _may_contain_change(self, state: RolloutState, window: Window) -> bool:
        """Return True if the weights may have changed within the window."""
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
        self._drift = True
        try:
            if await self._ports.target.in_force(step):
                self._drift = False
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
            interval=state.windows.interval,
        )
        return decide(self._plan, progress, state.evidence, self._now())

    async def _save_decision(self, state: RolloutState, decision: Decision) -> None:
        verdict = VERDICTS.get(decision.action)
        state.intended = decision.step
        state.verdict = None if verdict is None else verdict.value
        state.reason = decision.reason.value
        if decision.reason is Reason.HARM:
            state.reason = f"harm: {state.evidence.worst}"
        state.change_since = self._now()
        self._uncertain, self._applied = (0.0, 0.0), False
        await self._save(state)
        await self._ports.recorder.record_step(state, decision)

    async def _change_routes(self, state: RolloutState) -> None:
        """Try once to apply the intended step; ``run`` calls this until it succeeds."""
        started = self._now()
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
        state.step_since = self._now()
        if state.exposed_at is None and self._plan.steps[state.step].share != 0:
            state.exposed_at = state.step_since
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
        self._uncertain = self._uncertain[0] or started, self._now()

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
