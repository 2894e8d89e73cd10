"""Decides what a rollout does next: hold, advance, promote, roll back or give up. Pure.

The decision to roll back is made here: ``decide`` asks ``_rollback_reason`` first. An abort, harm
(the canary is worse than stable) or a breach (it violates the objective) rolls the release back.
The first time that a canary which is alone fails, or is slower than stable was, gives most requests
back to stable, to compare with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..evidence import Evidence
from ..evidence.counts import OUTAGE_FAILURES, OUTAGE_RATIO, Window, fail_together
from ..plan.model import Plan, Step, Strategy

#: The largest age of the last requests, in seconds and in polls, at which data counts as fresh.
#: The larger of the two applies: Prometheus is one or two scrapes behind.
FRESH_SECONDS: Final = 30.0
FRESH_POLLS: Final = 3

#: From this share on, a step leaves the old release a few requests only to compare with: a
#: holdback.
HOLDBACK_SHARE: Final = 0.9
#: The largest share of a step at which a canary that was bad alone is compared with stable.
COMPARED_SHARE: Final = 0.1


class Verdict(StrEnum):
    """How a rollout ends."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    INCONCLUSIVE = "inconclusive"


class Action(StrEnum):
    """What is done with the routes."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    #: Give the old release its requests back, to compare with it: the canary was bad while alone.
    STEP_BACK = "step-back"
    ROLL_BACK = "roll-back"
    INCONCLUSIVE = "inconclusive"


#: The verdict of each action that ends the rollout.
VERDICTS: Final = {
    Action.PROMOTE: Verdict.PROMOTED,
    Action.ROLL_BACK: Verdict.ROLLED_BACK,
    Action.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}


class Reason(StrEnum):
    """Why; ``reasons.py`` explains each. A hold ends by itself when its reason does."""

    ABORTED = "aborted"
    HARM = "harm"
    BREACH = "breach"
    #: With all requests, it is slower than the old release was.
    SLOWER = "slower"
    #: It gives no successful answer.
    SILENT = "silent"
    DEADLINE = "deadline"
    PAUSED = "paused"
    NO_DATA = "no-data"
    MISMATCH = "mismatch"
    STEP_TIME = "step-time"
    SMOKE_TESTS = "unchecked"
    NOT_PROVEN = "not-proven"
    SUSPECT = "suspect"
    OUTAGE = "both-fail"
    #: Nothing shows that the canary is worse; it is not proven to be good either.
    NOT_WORSE = "not-worse"
    GOOD = "good"
    #: The canary has had fewer requests at this step than the plan asks for.
    STEP_REQUESTS = "requests"
    #: The plan pauses at this step.
    PLAN_PAUSE = "plan-pause"
    #: Pods of the plan's workloads are not ready.
    PODS = "pods"
    #: A gate of the plan has not opened, or denies.
    GATE = "gate"
    #: The requests return to the stable pods, which run the new release; or to the old one.
    RETURNING = "returning"


#: What is held against a canary that has all requests, as nothing is left to compare it with.
_ALONE: Final = (Reason.BREACH, Reason.SLOWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The part of a rollout's state that a decision depends on; times in Unix seconds.

    ``step`` is the index of the step in force. ``data_at`` is the end of the last window with
    requests for every arm of that step, None if there was none. ``outage_at`` is the end of the
    last window in which every release failed (``is_outage``), None if there was none. ``interval``
    is the time between two samples of a counter, in seconds. ``stepped_back`` is True if most
    requests were once given back to the old release, to compare with it.
    """

    step: int
    step_since: float
    since: float
    data_at: float | None = None
    outage_at: float | None = None
    interval: float = 0.0
    paused: bool = False
    aborted: bool = False
    smoke_tests_passed: bool = False
    stepped_back: bool = False
    #: Requests that the canary has had at this step.
    requests: int = 0
    #: True if the plan's own pause at this step was ended.
    resumed: bool = False
    #: The evidence of this step alone, if it has an objective of its own.
    step_evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """``step`` is the index of the step that should be in force from now on."""

    action: Action
    reason: Reason
    step: int


def has_requests_for_every_arm(step: Step, window: Window) -> bool:
    """Return True if every release with a share > 0 received requests in this window."""
    if step.share == 0:
        return window.stable.requests > 0
    if step.share == 1:
        return window.canary.requests > 0
    return window.stable.requests > 0 and window.canary.requests > 0


def is_outage(step: Step, window: Window) -> bool:
    """Return True if all releases that the step gives requests failed many in this window.

    With all requests on the canary this is never known: there is nothing to compare it with.
    """
    if step.share == 1:
        return False
    if step.share and fail_together(window.stable, window.canary):
        return True
    if window.stable.failures < OUTAGE_FAILURES:
        return False
    arms = (window.stable,) if step.share == 0 else (window.stable, window.canary)
    return all(each.failures > OUTAGE_RATIO * each.requests for each in arms)


def decide(plan: Plan, progress: Progress, evidence: Evidence, now: float) -> Decision:
    """Decide what to do next; ``now`` is Unix time in seconds. The first matching rule wins.

    A rollback is considered first, even during a pause. A pause takes precedence over the deadline,
    because a person is at work, and the evidence is still watched.
    """
    if (why := _rollback_reason(progress, evidence)) is not None:
        if why in _ALONE and (step := _compared_step(plan, progress)) is not None:
            return Decision(Action.STEP_BACK, why, step)
        return Decision(Action.ROLL_BACK, why, 0)
    if progress.paused:
        return Decision(Action.HOLD, Reason.PAUSED, progress.step)
    conditions = plan.steps[max(progress.step, 0)].conditions
    why = next(_hold_reasons(plan, progress, evidence, now), None)
    if why is None and conditions.pause and not progress.resumed:
        return Decision(Action.HOLD, Reason.PLAN_PAUSE, progress.step)
    last = progress.step == len(plan.steps) - 1
    if why is None and last:
        return Decision(Action.PROMOTE, _verdict_reason(plan, evidence), progress.step)
    if now - progress.since >= plan.deadline_seconds:
        return Decision(Action.INCONCLUSIVE, Reason.DEADLINE, 0)
    if why is not None:
        return Decision(Action.HOLD, why, progress.step)
    return Decision(Action.ADVANCE, _verdict_reason(plan, evidence), progress.step + 1)


def _verdict_reason(plan: Plan, evidence: Evidence) -> Reason:
    if plan.strategy is Strategy.WALK:
        return Reason.STEP_TIME
    return Reason.GOOD if evidence.proven else Reason.NOT_WORSE


def _rollback_reason(progress: Progress, evidence: Evidence) -> Reason | None:
    if progress.aborted:
        return Reason.ABORTED
    step = progress.step_evidence
    if evidence.harmful or (step is not None and step.harmful):
        return Reason.HARM
    if evidence.silent:
        return Reason.SILENT
    if evidence.breached or (step is not None and step.breached):
        return Reason.BREACH
    if evidence.slow_alone:
        return Reason.SLOWER
    return None


def _compared_step(plan: Plan, progress: Progress) -> int | None:
    """Return the step at which a canary that is bad alone is compared, None if it is rolled back.

    An outage of what both releases share looks the same, until the old release gets requests. At
    the second time there is no doubt.
    """
    alone = plan.steps[progress.step].share == 1
    if plan.strategy is not Strategy.CANARY or not alone or progress.stepped_back:
        return None
    shares = {step.share: number for number, step in enumerate(plan.steps)}
    between = [share for share in shares if share is not None and 0 < share < 1]
    few = [share for share in between if share <= COMPARED_SHARE]
    return shares[max(few) if few else min(between)] if between else None


def _hold_reasons(
    plan: Plan, progress: Progress, evidence: Evidence, now: float
) -> Iterator[Reason]:
    """Yield every reason not to advance."""
    step = plan.steps[max(progress.step, 0)]
    ends_holdback = _follows_holdback(plan, progress.step)
    if ends_holdback and step.conditions.seconds is None:
        pass
    elif now - progress.step_since < plan.seconds_at(step):
        yield Reason.STEP_TIME
    if progress.requests < step.conditions.requests:
        yield Reason.STEP_REQUESTS
    if progress.step_evidence is not None and not progress.step_evidence.proven:
        yield Reason.NOT_PROVEN
    if ends_holdback:
        return
    if plan.strategy is Strategy.WALK:
        return
    if not _is_fresh(plan, progress, now):
        yield Reason.NO_DATA
    if progress.outage_at is not None and progress.outage_at > now - _fresh_seconds(plan, progress):
        yield Reason.OUTAGE
    if evidence.mismatched:
        yield Reason.MISMATCH
    if _needs_smoke_tests(plan) and progress.step == 0 and not progress.smoke_tests_passed:
        yield Reason.SMOKE_TESTS
    if _needs_proof(plan, progress.step):
        if not evidence.proven:
            yield Reason.NOT_PROVEN
        if evidence.suspect:
            yield Reason.SUSPECT


def _is_fresh(plan: Plan, progress: Progress, now: float) -> bool:
    # Data from before this step doesn't show that requests arrive at this step.
    oldest = now - _fresh_seconds(plan, progress)
    return progress.data_at is not None and progress.data_at > max(oldest, progress.step_since)


def _fresh_seconds(plan: Plan, progress: Progress) -> float:
    return max(FRESH_SECONDS, FRESH_POLLS * max(plan.poll_seconds, progress.interval))


def _follows_holdback(plan: Plan, step: int) -> bool:
    """Return True for a last step that only ends a holdback, which showed all there is to see."""
    if plan.strategy is Strategy.WALK or step != len(plan.steps) - 1:
        return False
    before = plan.steps[step - 1].share
    return before is not None and before >= HOLDBACK_SHARE


def _needs_smoke_tests(plan: Plan) -> bool:
    # Blue-green always waits for the controller to report success, with or without smoke tests.
    return bool(plan.smoke_tests) or plan.strategy is Strategy.BLUE_GREEN


def _needs_proof(plan: Plan, step: int) -> bool:
    if step == len(plan.steps) - 1:
        return True
    # In a blue-green rollout green gets no requests before the switch, so there is no evidence yet.
    following = plan.steps[step + 1].share
    return (
        plan.strategy is not Strategy.BLUE_GREEN
        and following is not None
        and following >= HOLDBACK_SHARE
    )
