"""Walks a plan's steps: reads the evidence, decides, changes the routes, and remembers it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ..evidence import Evidence
from ..evidence.counts import Window
from ..evidence.windows import difference
from ..plan.model import Check, Plan, Strategy
from .decisions import Action, Decision, Progress, Reason, decide, feeds
from .ports import NotOurs, Source, SourceFailed, Target, TargetFailed
from .reasons import still_gets
from .rollout_state import Standing
from .state_store import Order, StateStore

#: How often orders are looked for between two polls.
_ORDERS_SECONDS: Final = 0.5


class Verdict(StrEnum):
    """How a rollout ends."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    INCONCLUSIVE = "inconclusive"


_VERDICTS: Final = {
    Action.PROMOTE: Verdict.PROMOTED,
    Action.ROLL_BACK: Verdict.ROLLED_BACK,
    Action.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}
#: What is done however the routes were found.
_BACK: Final = frozenset({Action.ROLL_BACK, Action.INCONCLUSIVE})


class Teller(Protocol):
    """Who hears what happens; ``standing`` is to be read, and changes later."""

    async def began(self, standing: Standing, *, resumed: bool) -> None: ...
    async def window(self, standing: Standing, window: Window, share: float | None) -> None: ...
    async def held(self, standing: Standing, reason: str, detail: str) -> None: ...
    async def ordered(self, standing: Standing, order: Order) -> None: ...
    async def stepped(self, standing: Standing, decision: Decision) -> None: ...
    async def ended(self, standing: Standing, verdict: Verdict, reason: str) -> None: ...


#: Asks the release that comes before anybody else does; returns what was wrong, or nothing.
Checker = Callable[[Check], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class World:
    """What the controller acts on, and its clock: Unix seconds."""

    target: Target
    source: Source
    store: StateStore
    teller: Teller
    check: Checker
    #: Says what the source has seen besides its readings, in a sentence; empty for nothing.
    remark: Callable[[], str] = lambda: ""
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Controller:
    """One rollout, from its first step or from where a runner before left it.

    The order of writing is what makes a kill at any moment harmless: evidence and the reading it
    was drawn from are kept together, so that no request counts twice; a decision is kept before
    the routes are changed, and taken up again if they were not.
    """

    def __init__(self, plan: Plan, world: World, *, again: bool = False) -> None:
        """``again`` begins anew where the last rollout has ended; one that has not goes on."""
        self._again = again
        self._plan = plan
        self._world = world
        #: From when to when the routes may have changed in tries that failed, and if they did.
        self._unsure = (0.0, 0.0)
        self._changed = False

    async def run(self) -> Verdict:
        """Run to the verdict.

        Raise StateFailed (another runner, a damaged state), StandingInvalid (of another plan),
        NotOurs (somebody else holds the weights).
        """
        async with self._world.store.hold():
            standing = await self._begin()
            while not standing.ended:
                if standing.step != standing.intended or standing.verdict is not None:
                    await self._carry_out(standing)
                else:
                    await self._poll(standing)
            verdict = Verdict(standing.verdict or "")
            await self._world.teller.ended(standing, verdict, standing.reason or "")
            # One that came too late must not be the next rollout's.
            if late := await self._world.store.order():
                await self._world.store.obeyed(late)
            return verdict

    async def _begin(self) -> Standing:
        world = self._world
        kept = await world.store.load()
        if kept is not None and not (self._again and kept.get("ended")):
            standing = Standing.load(self._plan, kept)
            await world.teller.began(standing, resumed=True)
            return standing
        now = world.clock()
        standing = Standing(
            since=now, step_since=now, change_since=now, evidence=Evidence(self._plan.objective)
        )
        await world.teller.began(standing, resumed=False)
        await self._save(standing)
        return standing

    async def _poll(self, standing: Standing) -> None:
        """Look once, decide, and wait for the next look; or write down what is to be done."""
        await self._obey(standing)
        blind = await self._observe(standing)
        unchecked = await self._smoke(standing)
        drifted = await self._drifted(standing)
        decision = decide(
            self._plan, self._progress(standing), standing.evidence, self._world.clock()
        )
        if decision.action in _BACK or (decision.action is not Action.HOLD and not drifted):
            await self._decided(standing, decision)
            return
        # One reason a look: of several, the one that a person can do something about.
        if drifted:
            held = "drift", drifted
        elif blind:
            held = "source", blind
        else:
            held = decision.reason.value, self._detail(decision.reason, unchecked)
        await self._world.teller.held(standing, *held)
        await self._save(standing)
        await self._wait()

    def _detail(self, reason: Reason, unchecked: str) -> str:
        if reason is Reason.UNCHECKED:
            return unchecked
        return self._world.remark() if reason is Reason.NO_DATA else ""

    async def _obey(self, standing: Standing) -> None:
        given = await self._world.store.order()
        if given is None:
            return
        standing.paused = {Order.PAUSE: True, Order.RESUME: False}.get(given.order, standing.paused)
        standing.aborted = standing.aborted or given.order is Order.ABORT
        await self._world.teller.ordered(standing, given.order)
        await self._save(standing)
        await self._world.store.obeyed(given)

    async def _observe(self, standing: Standing) -> str:
        """Take in what was counted since the last look; return why nothing could be seen."""
        try:
            reading = await self._world.source.read()
        except SourceFailed as failed:
            return str(failed)
        if standing.baseline is None:
            standing.baseline = reading
            return ""
        step = self._plan.steps[standing.step]
        edges = len(self._plan.objective.slow_seconds)
        window, standing.baseline = difference(standing.baseline, reading, edges=edges)
        if window.since == window.until or self._holds_change(standing, window):
            return ""
        # A change that failed may have been made all the same: the split is anybody's guess then.
        share = step.share if standing.step == standing.intended else None
        # Those who preview a colour have chosen it.
        split = self._plan.strategy is not Strategy.BLUE_GREEN
        standing.evidence.observe(window, share, split=split)
        if feeds(step, window):
            standing.data_at = window.until
        await self._world.teller.window(standing, window, share)
        return ""

    def _holds_change(self, standing: Standing, window: Window) -> bool:
        """Tell whether weights may have changed within a window.

        What was shared before a change and after it can't be told apart there, and an outage on
        one side of it would look like one release's.
        """
        changes = [self._unsure]
        if standing.step == standing.intended:
            changes.append((standing.change_since, standing.step_since))
        return any(window.since < ended and window.until > began for began, ended in changes)

    async def _smoke(self, standing: Standing) -> str:
        """Ask the plan's checks, until they have passed once; return what was wrong."""
        if standing.checked or standing.step > 0:
            return ""
        for check in self._plan.checks:
            if failed := await self._world.check(check):
                return failed
        standing.checked = True
        return ""

    async def _drifted(self, standing: Standing) -> str:
        """Return how the routes differ from the step that should be in force, empty if not."""
        step = self._plan.steps[standing.step]
        try:
            if await self._world.target.in_force(step):
                return ""
        except TargetFailed as failed:
            return str(failed)
        return (
            f"the routes are not those of step {step.name}: somebody changed them;"
            " put them back, or abort"
        )

    async def _decided(self, standing: Standing, decision: Decision) -> None:
        verdict = _VERDICTS.get(decision.action)
        standing.intended = decision.step
        standing.verdict = None if verdict is None else verdict.value
        standing.reason = self._because(standing, decision)
        standing.change_since = self._world.clock()
        self._unsure, self._changed = (0.0, 0.0), False
        await self._save(standing)
        await self._world.teller.stepped(standing, decision)

    async def _carry_out(self, standing: Standing) -> None:
        """Put the intended step in force, as often as it takes."""
        step = self._plan.steps[standing.intended]
        began = self._world.clock()
        try:
            await self._world.target.apply(step)
        except NotOurs as refused:
            said = f"{refused}; {still_gets(self._plan, standing.step)}"
            await self._world.teller.held(standing, "not-ours", said)
            raise NotOurs(said) from refused
        except TargetFailed as failed:
            await self._world.teller.held(standing, "target", str(failed))
            await self._note_change(standing, began)
            await self._wait()
            # Also where it changes nothing: an order that stands ends every wait.
            await self._obey(standing)
            if standing.verdict is None:
                # On the way forward what is seen meanwhile may still turn it round.
                await self._reconsider(standing)
            return
        standing.step = standing.intended
        standing.step_since = self._world.clock()
        standing.ended = standing.verdict is not None
        await self._save(standing)

    async def _note_change(self, standing: Standing, began: float) -> None:
        """Note when a try that failed may have changed the routes all the same."""
        if self._changed:
            return  # there is nothing left that another try would change
        steps, target = self._plan.steps, self._world.target
        try:
            if standing.step >= 0 and await target.in_force(steps[standing.step]):
                return
            self._changed = await target.in_force(steps[standing.intended])
        except TargetFailed:
            pass  # who can't be asked may have been told
        self._unsure = self._unsure[0] or began, self._world.clock()

    async def _reconsider(self, standing: Standing) -> None:
        if standing.step >= 0:
            await self._observe(standing)
        decision = decide(
            self._plan, self._progress(standing), standing.evidence, self._world.clock()
        )
        if decision.action in _BACK:
            await self._decided(standing, decision)
        else:
            await self._save(standing)

    async def _wait(self) -> None:
        left = self._plan.poll_seconds
        while left > 0 and await self._world.store.order() is None:
            await self._world.sleep(min(left, _ORDERS_SECONDS))
            left -= _ORDERS_SECONDS

    async def _save(self, standing: Standing) -> None:
        await self._world.store.save(standing.dump(self._plan))

    def _progress(self, standing: Standing) -> Progress:
        return Progress(
            step=standing.step,
            step_since=standing.step_since,
            since=standing.since,
            data_at=standing.data_at,
            paused=standing.paused,
            aborted=standing.aborted,
            checked=standing.checked,
        )

    def _because(self, standing: Standing, decision: Decision) -> str:
        if decision.reason is Reason.HARM:
            return f"harm: {standing.evidence.worst}"
        return decision.reason.value
