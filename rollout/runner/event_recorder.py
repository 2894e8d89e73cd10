"""Makes events of what the controller does, keeps them, and passes them on to who listens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Window
from ..evidence.evidence import BREACH_SHARE, FALSE_MISMATCH
from ..evidence.objective import Objective
from ..plan.model import Plan
from .controller import Verdict
from .decisions import Action, Decision, Reason
from .events import Event, EventKind, EvidenceValues, render_event
from .reasons import why_ended, why_held
from .rollout_state import Standing
from .state_store import Order, StateStore

#: What may change in a sentence that is still the same.
_DIGITS: Final = re.compile(r"\d+")

Listener = Callable[[Event], None]

_KINDS = {
    Verdict.PROMOTED: EventKind.PROMOTED,
    Verdict.ROLLED_BACK: EventKind.ROLLED_BACK,
    Verdict.INCONCLUSIVE: EventKind.INCONCLUSIVE,
}


class Telling:
    """A Teller. An event is kept before anybody hears of it."""

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
        #: The hold that was told last, and its sentence until the next step is taken.
        self._hold = ("", "")
        self._waited = ""

    async def began(self, standing: Standing, *, resumed: bool) -> None:
        """Tell that a runner has begun, or gone on where another one ended."""
        kind = EventKind.RESUMED if resumed else EventKind.STARTED
        await self._tell(
            self._event(
                kind,
                standing,
                evidence=values_of(standing.evidence),
                thresholds=thresholds_of(self._plan.objective),
            )
        )

    async def window(self, standing: Standing, window: Window, share: float | None) -> None:
        """Tell what came in since the last look."""
        await self._tell(
            self._event(
                EventKind.WINDOW,
                standing,
                share=share,
                since=window.since,
                until=window.until,
                stable=window.stable,
                canary=window.canary,
                evidence=values_of(standing.evidence),
            )
        )

    async def held(self, standing: Standing, reason: str, detail: str) -> None:
        """Tell of a hold once, until it has another reason; that a step takes time is none."""
        if reason == Reason.STEP_TIME.value and not detail:
            self._hold = ("", "")
            return
        said = detail or why_held(reason)
        # A number that grows, as the age of a sample, is no news.
        hold = reason, _DIGITS.sub("", said)
        if hold != self._hold:
            self._hold = hold
            self._waited = said
            await self._tell(self._event(EventKind.HELD, standing, reason=reason, detail=said))

    async def ordered(self, standing: Standing, order: Order) -> None:
        """Tell of an order that was obeyed."""
        await self._tell(self._event(EventKind.ORDER, standing, reason=order.value))

    async def stepped(self, standing: Standing, decision: Decision) -> None:
        """Tell of a decision for another step; one that ends the rollout is told at its end."""
        self._hold = ("", "")
        if decision.action is Action.ADVANCE:
            self._waited = ""
        if decision.action is Action.PROMOTE:
            return
        step = self._plan.steps[decision.step]
        await self._tell(
            self._event(
                EventKind.STEP,
                standing,
                step=step.name,
                number=decision.step,
                share=step.share,
                reason=standing.reason or "",
                evidence=values_of(standing.evidence),
            )
        )

    async def ended(self, standing: Standing, verdict: Verdict, reason: str) -> None:
        """Tell the verdict."""
        await self._tell(
            self._event(
                _KINDS[verdict],
                standing,
                reason=reason,
                detail=why_ended(reason, self._plan, self._waited),
                evidence=values_of(standing.evidence),
            )
        )

    async def _tell(self, event: Event) -> None:
        await self._store.record(json.loads(render_event(event)))
        for listener in self._listeners:
            listener(event)

    def _event(self, kind: EventKind, standing: Standing, **more: object) -> Event:
        number = max(standing.step, 0)
        step = self._plan.steps[number]
        told = {"step": step.name, "number": number, "share": step.share, **more}
        return Event(time=self._clock(), rollout=self._plan.name, kind=kind, **told)  # type: ignore[arg-type]


def values_of(evidence: Evidence) -> EvidenceValues:
    """Return the e-values as events have them."""
    return EvidenceValues(
        harm=evidence.harm,
        harm_errors=evidence.harm_errors,
        harm_slow=tuple(evidence.harm_slow.values()),
        merit=evidence.merit,
        breach=evidence.breach,
        mismatch=evidence.mismatch,
    )


def thresholds_of(objective: Objective) -> EvidenceValues:
    """Return what each e-value must reach for a verdict."""
    return EvidenceValues(
        harm=1 / objective.false_rollback,
        merit=1 / objective.false_promotion,
        breach=1 / (BREACH_SHARE * objective.false_rollback),
        mismatch=1 / FALSE_MISMATCH,
    )
