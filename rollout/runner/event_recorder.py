"""Turns what the controller does into events, saves them, and passes them to listeners."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Window
from ..evidence.evidence import BREACH_WEIGHT
from ..evidence.objective import Objective
from ..evidence.split import FALSE_MISMATCH
from ..plan.model import Plan
from .decisions import Action, Decision, Reason, Verdict
from .events import Event, EventKind, EvidenceValues, render_event
from .reasons import explain_hold, explain_verdict
from .rollout_state import RolloutState
from .state_store import ControlCommand, StateStore

_DIGITS: Final = re.compile(r"\d+")

Listener = Callable[[Event], None]

_KINDS = {
    Verdict.PROMOTED: EventKind.PROMOTED,
    Verdict.ROLLED_BACK: EventKind.ROLLED_BACK,
    Verdict.INCONCLUSIVE: EventKind.INCONCLUSIVE,
}


class EventRecorder:
    """A Recorder. It saves each event before it calls the listeners."""

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        clock: Callable[[], float],
        listeners: Sequence[Listener],
    ) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock
        self._listeners = listeners
        #: Reason and detail (without digits) of the last recorded hold.
        self._hold = ("", "")
        #: Detail of the last hold since the rollout advanced.
        self._last_detail = ""

    async def record_start(self, state: RolloutState, *, resumed: bool) -> None:
        """Record that a runner started the rollout, or resumed it."""
        await self._record(
            EventKind.RESUMED if resumed else EventKind.STARTED,
            state,
            evidence=e_values_of(state.evidence),
            thresholds=thresholds_of(self._plan.objective),
        )

    async def record_window(self, state: RolloutState, window: Window, share: float | None) -> None:
        """Record the counts of a window."""
        await self._record(
            EventKind.WINDOW,
            state,
            share=share,
            since=window.since,
            until=window.until,
            stable=window.stable,
            canary=window.canary,
            evidence=e_values_of(state.evidence),
        )

    async def record_hold(self, state: RolloutState, reason: str, detail: str) -> None:
        """Record a hold when its reason changes; waiting for the step's time is not recorded."""
        if reason == Reason.STEP_TIME.value and not detail:
            self._hold = ("", "")
            return
        detail = detail or explain_hold(reason)
        # Ignore digits: a number that grows, such as the age of a sample, is no new reason.
        hold = reason, _DIGITS.sub("", detail)
        if hold != self._hold:
            self._hold = hold
            self._last_detail = detail
            await self._record(EventKind.HELD, state, reason=reason, detail=detail)

    async def record_command(self, state: RolloutState, command: ControlCommand) -> None:
        """Record that a control command was carried out."""
        await self._record(EventKind.COMMAND, state, reason=command.value)

    async def record_step(self, state: RolloutState, decision: Decision) -> None:
        """Record a decision for another step. ``record_verdict`` records a promotion."""
        self._hold = ("", "")
        if decision.action is Action.ADVANCE:
            self._last_detail = ""
        if decision.action is Action.PROMOTE:
            return
        step = self._plan.steps[decision.step]
        await self._record(
            EventKind.STEP,
            state,
            step=step.name,
            number=decision.step,
            share=step.share,
            reason=state.reason or "",
            evidence=e_values_of(state.evidence),
        )

    async def record_verdict(self, state: RolloutState, verdict: Verdict, reason: str) -> None:
        """Record how the rollout ended."""
        await self._record(
            _KINDS[verdict],
            state,
            reason=reason,
            detail=explain_verdict(reason, self._plan, self._last_detail),
            evidence=e_values_of(state.evidence),
        )

    async def _record(self, kind: EventKind, state: RolloutState, **more: object) -> None:
        number = max(state.step, 0)
        step = self._plan.steps[number]
        fields = {"step": step.name, "number": number, "share": step.share, **more}
        event = Event(time=self._clock(), rollout=self._plan.name, kind=kind, **fields)  # type: ignore[arg-type]
        await self._store.record(json.loads(render_event(event)))
        for listener in self._listeners:
            listener(event)


def e_values_of(evidence: Evidence) -> EvidenceValues:
    """Return the e-values in the form that events have."""
    return EvidenceValues(
        harm=evidence.harm,
        harm_errors=evidence.harm_errors,
        harm_slow=tuple(evidence.harm_slow.values()),
        merit=evidence.merit,
        breach=evidence.breach,
        mismatch=evidence.mismatch,
    )


def thresholds_of(objective: Objective) -> EvidenceValues:
    """Return the value that each e-value must reach to reject its null hypothesis."""
    return EvidenceValues(
        harm=1 / objective.false_rollback,
        merit=1 / objective.false_promotion,
        breach=1 / (BREACH_WEIGHT * objective.false_rollback),
        mismatch=1 / FALSE_MISMATCH,
    )
