"""Asks a plan's gates in the background, and holds or goes back by their answers.

Nothing here waits: a decision is reviewed by what the gates have said so far. So no gate can delay
an abort, or hide a bad canary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ..plan.gate_spec import GateSpec
from ..plan.model import Plan
from .decisions import Action, Decision, Reason
from .rollout_state import RolloutState


class GateFailed(Exception):
    """A gate could not be asked, or its answer can't be used; the message says why."""


class Answer(StrEnum):
    """What a gate says."""

    GO_ON = "goes on"
    WAIT = "waits"
    DENY = "denies"


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """An answer, and a few words about it."""

    answer: Answer
    detail: str = ""


#: What a gate is asked, for JSON: rollout, namespace, what, step, next, share, canary's counts.
Question = dict[str, Any]
#: Asks one gate; raise GateFailed. It is cancelled at its timeout.
AskGate = Callable[[Question], Awaitable[GateAnswer]]

#: The actions after which nobody is asked: they take requests away from the canary.
_BACK: Final = frozenset({Action.STEP_BACK, Action.ROLL_BACK, Action.INCONCLUSIVE})
_FORWARD: Final = frozenset({Action.ADVANCE, Action.PROMOTE})


@dataclass(slots=True)
class _Asked:
    """What is known from one gate. ``about`` is the decision that it was asked about."""

    about: tuple[str, int] | None = None
    task: asyncio.Task[GateAnswer] | None = None
    at: float = float("-inf")
    last: GateAnswer | None = None
    denials: int = 0
    failures: int = 0
    failure: str = ""


class Gates:
    """The gates of one rollout."""

    def __init__(
        self,
        plan: Plan,
        asking: Sequence[tuple[GateSpec, AskGate]],
        monotonic: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._asking = asking
        self._monotonic = monotonic
        self._asked = {spec.name: _Asked() for spec, _ in asking}

    def review(self, state: RolloutState, decision: Decision, now: float) -> tuple[Decision, str]:
        """Return what to do instead of a decision and why; ask what is due.

        A way back is never held up. A promotion that gates hold up ends at the plan's deadline.
        """
        if decision.action in _BACK:
            return decision, ""
        held = ""
        for spec, ask in self._asking:
            about = self._about(spec, decision)
            if about is None:
                continue
            found = self._ask(spec, ask, about, state, decision)
            verdict, why = _judge(spec, found)
            detail = f"{spec.name} {why}"
            if verdict == "roll-back":
                return Decision(Action.ROLL_BACK, Reason.GATE, 0), detail
            if decision.reason is Reason.PLAN_PAUSE and spec.when == "step":
                if not verdict:
                    state.resume(now)
                continue
            held = held or (detail if verdict else "")
        if not held:
            return decision, ""
        if (
            decision.action is Action.PROMOTE
            and now - state.began(now) >= self._plan.deadline_seconds
        ):
            return Decision(Action.INCONCLUSIVE, Reason.DEADLINE, 0), ""
        if decision.action is Action.HOLD and decision.reason is not Reason.STEP_TIME:
            return decision, ""
        return Decision(Action.HOLD, Reason.GATE, state.step), held

    async def close(self) -> None:
        """Stop asking."""
        tasks = [each.task for each in self._asked.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _about(self, spec: GateSpec, decision: Decision) -> tuple[str, int] | None:
        """Return what a gate is to be asked about now, None for nothing."""
        if spec.when == "always":
            return "always", 0
        action, step = decision.action, decision.step
        if spec.resume and decision.reason is Reason.PLAN_PAUSE:
            return ("resume", step) if self._is_named(spec, step) else None
        if spec.resume or action not in _FORWARD:
            return None
        if spec.when == "promotion":
            return ("promotion", step) if action is Action.PROMOTE else None
        return ("step", step) if action is Action.ADVANCE and self._is_named(spec, step) else None

    def _is_named(self, spec: GateSpec, step: int) -> bool:
        return not spec.steps or self._plan.steps[step].name in spec.steps

    def _ask(
        self,
        spec: GateSpec,
        ask: AskGate,
        about: tuple[str, int],
        state: RolloutState,
        decision: Decision,
    ) -> _Asked:
        """Take the answer that has come, and ask again if it is time."""
        found = self._asked[spec.name]
        if found.about != about:
            # An answer about another step is none about this one.
            if found.task is not None:
                found.task.cancel()
            found = self._asked[spec.name] = _Asked(about=about)
        if found.task is not None and found.task.done():
            _take(found)
        due = self._monotonic() - found.at >= spec.interval.total_seconds()
        if found.task is None and due:
            found.at = self._monotonic()
            question = self._question(about[0], state, decision)
            timeout = spec.timeout.total_seconds()
            found.task = asyncio.ensure_future(_within(ask(question), timeout))
        return found

    def _question(self, what: str, state: RolloutState, decision: Decision) -> Question:
        steps = self._plan.steps
        here, then = steps[max(state.step, 0)], steps[decision.step]
        canary = state.evidence.canary
        return {
            "rollout": self._plan.name,
            "namespace": self._plan.namespace,
            "what": what,
            "step": here.name,
            "share": here.share,
            "next": then.name,
            "nextShare": then.share,
            "canary": {"requests": canary.requests, "failures": canary.failures},
        }


async def _within(asking: Awaitable[GateAnswer], seconds: float) -> GateAnswer:
    try:
        return await asyncio.wait_for(asking, seconds)
    except TimeoutError:
        raise GateFailed(f"gave no answer within {seconds:g} s") from None


def _take(found: _Asked) -> None:
    """Take the answer of a task that is done."""
    assert found.task is not None  # noqa: S101 - the caller has looked
    error, found_task, found.task = found.task.exception(), found.task, None
    if error is not None:
        if not isinstance(error, GateFailed):
            raise error
        found.failures += 1
        found.failure = str(error)
        return
    found.last = found_task.result()
    found.failures, found.failure = 0, ""
    found.denials = found.denials + 1 if found.last.answer is Answer.DENY else 0


def _judge(spec: GateSpec, found: _Asked) -> tuple[str, str]:
    """Return ``hold``, ``roll-back`` or an empty text, and the words for it."""
    if found.failures >= spec.failures:
        why = f"failed {found.failures} times: {found.failure}"
        return ("" if spec.failed == "ignore" else spec.failed), why
    if found.failures:
        return ("" if spec.when == "always" else "hold"), found.failure
    if found.last is None:
        return ("" if spec.when == "always" else "hold"), "has not answered yet"
    why = f"{found.last.answer.value}: {found.last.detail}".rstrip(": ")
    if found.last.answer is Answer.DENY:
        return (spec.denied if found.denials >= spec.denials else "hold"), why
    return ("" if found.last.answer is Answer.GO_ON else "hold"), why
