"""Turns what the controller does into events, saves them, and passes them to listeners."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ..evidence.counts import Window
from ..plan.model import Plan, Strategy
from .decisions import Action, Decision, Reason, Verdict
from .events import Event, EventKind, render_event
from .evidence_values import e_values_of, thresholds_of
from .notifications import Notifier, key_of
from .reasons import explain_hold, explain_verdict
from .rollout_state import RolloutState
from .state_store import ControlCommand, StateFailed, StateStore

_DIGITS: Final = re.compile(r"\d+")
#: How many events the state remembers as told.
_MAX_TOLD: Final = 200

#: Shows an event.
Viewer = Callable[[Event], None]


class Listener(Protocol):
    """Tells others what is new, in the background."""

    def post_event(self, event: Event, key: str) -> None:
        """Post an event. It may come again after a kill, with the same key."""

    async def finish(self) -> None:
        """Wait until all that was posted has arrived, for a few seconds."""


_KINDS = {
    Verdict.PROMOTED: EventKind.PROMOTED,
    Verdict.ROLLED_BACK: EventKind.ROLLED_BACK,
    Verdict.INCONCLUSIVE: EventKind.INCONCLUSIVE,
}


class EventRecorder:
    """A Recorder. It saves each event before it calls the listeners.

    A runner may find that the rollout ended before it came. What it then tells is not new: the
    ``viewers`` show it, and nobody else gets it again. If the runner before was killed while it
    recorded the verdict, this one does so again: the journal has it once, and people may get it
    twice, with one key.
    """

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        clock: Callable[[], float],
        viewers: Sequence[Viewer],
        notifier: Notifier | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock
        self._viewers = viewers
        self._listeners = listeners
        self._notifier = notifier
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
        needed, rate = self._requests_needed(state), state.canary_rate
        await self._record(
            EventKind.WINDOW,
            state,
            share=share,
            since=window.since,
            until=window.until,
            stable=window.old,
            canary=window.canary,
            baseline=window.baseline,
            evidence=e_values_of(state.evidence),
            requests_needed=needed,
            seconds_needed=None if needed is None or not rate else needed / rate,
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
        is_forward = decision.action is Action.ADVANCE
        if is_forward:
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
            baseline_share=self._baseline_share(decision.step),
            reason=Reason.RETURNING.value
            if decision.reason is Reason.RETURNING
            else state.reason or "",
            evidence=e_values_of(state.evidence),
            requests_needed=self._requests_needed(state) if is_forward else None,
        )

    async def record_verdict(self, state: RolloutState, verdict: Verdict, reason: str) -> None:
        """Record how the rollout ended, and wait a few seconds until all have been told."""
        is_saved = await self._record(
            _KINDS[verdict],
            state,
            reason=reason,
            detail=explain_verdict(reason, self._plan, self._last_detail),
            evidence=e_values_of(state.evidence),
        )
        others = self._listeners if self._notifier is None else [*self._listeners, self._notifier]
        await asyncio.gather(*(each.finish() for each in others))
        self._note_told(state)
        state.end_recorded = state.end_recorded or is_saved

    async def _record(self, kind: EventKind, state: RolloutState, **more: object) -> bool:
        """Save an event, and tell it. Return False if it could not be saved."""
        number = state.known_step
        step = self._plan.steps[number]
        fields = {
            "step": step.name,
            "number": number,
            "share": step.share,
            "baseline_share": self._baseline_share(number),
            **more,
        }
        event = Event(time=self._clock(), rollout=self._plan.name, kind=kind, **fields)  # type: ignore[arg-type]
        # Nothing is resumed of a rollout that has ended: its journal ends with the verdict.
        is_news = not state.end_recorded and not (state.ended and kind is EventKind.RESUMED)
        is_saved = not is_news
        if is_news:
            # A history that can't be written stops no rollout; the listeners show the event.
            with contextlib.suppress(StateFailed):
                await self._store.record(json.loads(render_event(event)))
                is_saved = True
        for viewer in self._viewers:
            viewer(event)
        if is_news:
            key = key_of(event, f"{state.since} {state.stepped_back}")
            for listener in self._listeners:
                listener.post_event(event, key)
            if self._notifier is not None and key not in state.told:
                self._notifier.post_event(event, key)
        self._note_told(state)
        return is_saved

    def _note_told(self, state: RolloutState) -> None:
        """Keep in the state what has arrived, so that no later runner tells it again."""
        if self._notifier is not None and (arrived := self._notifier.take_arrived()):
            state.told = [*state.told, *arrived][-_MAX_TOLD:]

    def _requests_needed(self, state: RolloutState) -> int | None:
        return None if self._plan.strategy is Strategy.WALK else state.evidence.requests_needed

    def _baseline_share(self, number: int) -> float | None:
        return self._plan.steps[number].baseline_share if self._plan.baseline else None
