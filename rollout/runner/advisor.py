"""Watches a rollout that somebody else makes, and says what the runner would do. It never acts.

It reads the routes and the counters, and keeps nothing: neither a state nor a hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..evidence import Evidence
from ..evidence.windows import WindowBuilder
from ..plan.model import Plan
from .decisions import VERDICTS, Action, Decision, Reason, Verdict
from .deliberation import deliberate
from .observation import Observation
from .ports import Ports, TargetFailed
from .reasons import explain_hold, explain_missing_proof, explain_verdict
from .rollout_state import RolloutState

#: The reason of the events that hold an advice.
ADVICE: Final = "advice"
_STARTED_BEFORE: Final = (
    "the routes are those of no step of the plan; the advice begins when they are"
)


class Unsaved:
    """The part of a state store that records events; it forgets them."""

    async def record(self, event: Mapping[str, Any]) -> None:
        """Forget the event."""


class Advisor:
    """Gives advice until it would promote the release, roll it back, or give up."""

    def __init__(self, plan: Plan, ports: Ports) -> None:
        """Of the ports, the target is only read, and the state store is not used."""
        self._plan = plan
        self._ports = ports
        self._seen = Observation(plan, ports)
        self._looked_at = 0.0

    async def run(self) -> Verdict:
        """Watch; return the verdict that the runner would have given."""
        now = self._seen.now()
        state = RolloutState(
            since=now,
            step_since=now,
            change_since=now,
            evidence=Evidence(self._plan.objective),
            windows=WindowBuilder(len(self._plan.objective.slow_seconds)),
        )
        await self._ports.recorder.record_start(state, resumed=False)
        while True:
            if (decision := await self._look(state)) is not None:
                await self._say(state, self._describe(state, decision))
                if verdict := VERDICTS.get(decision.action):
                    state.verdict = verdict.value
                    return verdict
            await self._ports.sleep(self._plan.poll_seconds)

    async def _look(self, state: RolloutState) -> Decision | None:
        """Read routes and counters once; return the decision, None if the routes are of no step."""
        try:
            step = await self._step_in_force(state)
        except TargetFailed as failed:
            await self._say(state, str(failed))
            return None
        if step is None:
            await self._say(state, _STARTED_BEFORE)
            return None
        if step != state.step:
            # They were changed at some time since the last look.
            state.change_since = state.step_since if state.step < 0 else self._looked_at
            state.step = state.intended = step
            state.step_since = self._seen.now()
            if state.exposed_at is None and self._plan.steps[step].share != 0:
                state.exposed_at = state.step_since
            state.enter_step(self._plan)
        self._looked_at = self._seen.now()
        await self._seen.find_drift(state)
        if trouble := await self._seen.read(state):
            await self._say(state, trouble)
            return None
        # Smoke tests and pauses are the business of whoever acts.
        state.smoke_tests_passed, state.resumed_step = True, state.step
        return deliberate(self._plan, state, self._seen.now())

    async def _step_in_force(self, state: RolloutState) -> int | None:
        numbers = range(len(self._plan.steps))
        # The last known one first: mostly nothing has changed.
        for number in sorted(numbers, key=lambda each: each != state.step):
            if await self._ports.target.in_force(self._plan.steps[number]):
                return number
        return None

    def _describe(self, state: RolloutState, decision: Decision) -> str:
        step = self._plan.steps[decision.step].name
        reason = decision.reason.value
        if decision.reason is Reason.HARM:
            reason = f"{reason}: {state.evidence.worst}"
        match decision.action:
            case Action.ADVANCE:
                return f"would go on to step {step} ({reason})"
            case Action.HOLD:
                why = explain_hold(reason) or "the step's time has not passed"
                if decision.reason is Reason.NOT_PROVEN:
                    why = explain_missing_proof(self._plan, state.evidence, state.canary_rate)
                return f"would stay at step {step}: {why}"
            case Action.STEP_BACK:
                return f"would go back to step {step}, to compare it with stable ({reason})"
            case Action.PROMOTE:
                return f"would promote the release ({reason})"
            case Action.ROLL_BACK | Action.INCONCLUSIVE:
                why = explain_verdict(reason, self._plan) or reason
                return f"would go back to step {step}: {why}"

    async def _say(self, state: RolloutState, sentence: str) -> None:
        await self._ports.recorder.record_hold(state, ADVICE, sentence)
