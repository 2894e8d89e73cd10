"""What to do next about a rollout, given what is known: every rule on one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..evidence import Evidence
from ..evidence.counts import Window
from ..plan.model import Plan, Step, Strategy

#: How old the last requests may be, in seconds and in polls, for them to be called fresh: the
#: greater. Prometheus is a scrape or two behind.
FRESH_SECONDS: Final = 30.0
FRESH_POLLS: Final = 3


class Action(StrEnum):
    """What is done with the routes."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLL_BACK = "roll-back"
    INCONCLUSIVE = "inconclusive"


class Reason(StrEnum):
    """Why; a hold ends by itself when its reason does."""

    ABORTED = "aborted"
    HARM = "harm"
    BREACH = "breach"
    DEADLINE = "deadline"
    PAUSED = "paused"
    NO_DATA = "no-data"
    MISMATCH = "mismatch"
    STEP_TIME = "step-time"
    UNCHECKED = "unchecked"
    NOT_PROVEN = "not-proven"
    GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rollout is; times in Unix seconds.

    ``step`` is the index of the step in force. ``data_at`` is the end of the last window that
    ``feeds`` its step, None before any. ``checked`` tells that the smoke checks before a flip
    have passed.
    """

    step: int
    step_since: float
    since: float
    data_at: float | None = None
    paused: bool = False
    aborted: bool = False
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """``step`` is the index of the step that should be in force from now on."""

    action: Action
    reason: Reason
    step: int


def feeds(step: Step, window: Window) -> bool:
    """Tell whether a window has requests of every release which a step gives some."""
    if step.share == 0:
        return window.stable.requests > 0
    if step.share == 1:
        return window.canary.requests > 0
    return window.stable.requests > 0 and window.canary.requests > 0


def decide(plan: Plan, progress: Progress, evidence: Evidence, now: float) -> Decision:
    """Decide; ``now`` is Unix time in seconds. The first rule that applies wins.

    Going back goes before everything, paused or not. A pause outlasts the deadline: somebody
    is looking, and the way back stays watched.
    """
    if (why := _against(progress, evidence)) is not None:
        return Decision(Action.ROLL_BACK, why, 0)
    if progress.paused:
        return Decision(Action.HOLD, Reason.PAUSED, progress.step)
    why = next(_gates(plan, progress, evidence, now), None)
    last = progress.step == len(plan.steps) - 1
    if why is None and last:
        return Decision(Action.PROMOTE, Reason.GOOD, progress.step)
    if now - progress.since >= plan.deadline_seconds:
        return Decision(Action.INCONCLUSIVE, Reason.DEADLINE, 0)
    if why is not None:
        return Decision(Action.HOLD, why, progress.step)
    return Decision(Action.ADVANCE, Reason.GOOD, progress.step + 1)


def _against(progress: Progress, evidence: Evidence) -> Reason | None:
    if progress.aborted:
        return Reason.ABORTED
    if evidence.harmful:
        return Reason.HARM
    if evidence.breached:
        return Reason.BREACH
    return None


def _gates(plan: Plan, progress: Progress, evidence: Evidence, now: float) -> Iterator[Reason]:
    """Yield what stands against going on."""
    if now - progress.step_since < plan.step_seconds:
        yield Reason.STEP_TIME
    if plan.strategy is Strategy.WALK:
        return
    if not _fresh(plan, progress, now):
        yield Reason.NO_DATA
    if evidence.mismatched:
        yield Reason.MISMATCH
    if _has_checks(plan) and progress.step == 0 and not progress.checked:
        yield Reason.UNCHECKED
    if _needs_proof(plan, progress.step) and not evidence.proven:
        yield Reason.NOT_PROVEN


def _fresh(plan: Plan, progress: Progress, now: float) -> bool:
    # What was seen before a step says nothing of whether requests come to it.
    oldest = now - max(FRESH_SECONDS, FRESH_POLLS * plan.poll_seconds)
    return progress.data_at is not None and progress.data_at > max(oldest, progress.step_since)


def _has_checks(plan: Plan) -> bool:
    # A flip waits in any case until somebody says that there is nothing to check.
    return bool(plan.checks) or plan.strategy is Strategy.BLUE_GREEN


def _needs_proof(plan: Plan, step: int) -> bool:
    if step == len(plan.steps) - 1:
        return True
    # A flip is the first that green gets: before it there is nothing to prove it with.
    return plan.strategy is not Strategy.BLUE_GREEN and plan.steps[step + 1].share == 1
