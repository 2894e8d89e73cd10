"""Decisions about the next action: each rule, and their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.evidence.plans import canary_plan
from rollout.evidence import Evidence
from rollout.evidence.counts import Counts, Window
from rollout.evidence.objective import Objective
from rollout.plan.model import Plan, Strategy
from rollout.runner.decisions import (
    Action,
    Decision,
    Progress,
    Reason,
    decide,
    has_requests_for_every_arm,
    is_outage,
)

OBJECTIVE = Objective(slow_seconds=())
CANARY = canary_plan((0.0, 0.1, 0.5, 1.0), objective=OBJECTIVE)
BLUE_GREEN = replace(canary_plan((0.0, 1.0), objective=OBJECTIVE), strategy=Strategy.BLUE_GREEN)
AB = replace(
    CANARY,
    strategy=Strategy.AB,
    steps=(CANARY.steps[0], replace(CANARY.steps[1], name="on", share=None)),
)
LAST = len(CANARY.steps) - 1
NOW = 1_000.0


def evidence(
    stable: tuple[int, int] = (0, 0), canary: tuple[int, int] = (0, 0), share: float | None = None
) -> Evidence:
    """Return the evidence of one window of requests and failures."""
    known = Evidence(OBJECTIVE)
    for since in (0.0, 5.0, 10.0):
        known.observe(Window(since, since + 5, Counts(*stable), Counts(*canary)), share)
    return known


def slow_alone() -> Evidence:
    """Return the evidence of a canary that gets slow when it has all requests."""
    known = Evidence(Objective(slow_seconds=(0.1,)))
    for number in range(12):
        slow = 0 if number < 4 else 400
        arms = Counts(500, 0, (slow,)), Counts(0, 0, (0,))
        stable, canary = arms if number < 4 else reversed(arms)
        window = Window(5.0 * number, 5.0 * number + 5, stable, canary)
        known.observe(window, 0.0 if number < 4 else 1.0)
    return known


NOTHING = evidence()
PROVEN = evidence((4_500, 5), (500, 0), 0.1)
HARMFUL = evidence((900, 0), (100, 50), 0.1)
BREACHED = evidence((0, 0), (500, 50), 1.0)
SLOW_ALONE = slow_alone()
MISMATCHED = evidence((500, 0), (500, 0), 0.1)


def progress(step: int, *, at_step: float = 60.0) -> Progress:
    """Return the progress of a rollout ``at_step`` seconds after a step, with recent requests."""
    return Progress(step=step, step_since=NOW - at_step, since=NOW - 300.0, data_at=NOW - 1.0)


def hold(step: int, reason: Reason) -> Decision:
    return Decision(Action.HOLD, reason, step)


ROLL_BACK = {
    reason: Decision(Action.ROLL_BACK, reason, 0)
    for reason in (Reason.ABORTED, Reason.HARM, Reason.BREACH, Reason.SLOWER)
}
INCONCLUSIVE = Decision(Action.INCONCLUSIVE, Reason.DEADLINE, 0)


def test_the_evidence_here_is_what_it_is_called() -> None:
    assert PROVEN.proven
    assert not any((PROVEN.harmful, PROVEN.breached, PROVEN.mismatched))
    assert HARMFUL.harmful
    assert not HARMFUL.breached
    assert BREACHED.breached
    assert not BREACHED.harmful
    assert SLOW_ALONE.slow_alone
    assert not SLOW_ALONE.harmful
    assert MISMATCHED.mismatched
    assert MISMATCHED.proven


def test_a_step_whose_time_is_over_is_followed_by_the_next() -> None:
    for step in (0, 1):
        for known, reason in ((NOTHING, Reason.NOT_WORSE), (PROVEN, Reason.GOOD)):
            assert decide(CANARY, progress(step), known, NOW) == Decision(
                Action.ADVANCE, reason, step + 1
            )


def test_a_step_has_its_time() -> None:
    early = progress(1, at_step=59.9)

    assert decide(CANARY, early, PROVEN, NOW) == hold(1, Reason.STEP_TIME)


@pytest.mark.parametrize("plan", [CANARY, BLUE_GREEN, AB], ids=lambda plan: str(plan.strategy))
@pytest.mark.parametrize(("known", "reason"), [(HARMFUL, Reason.HARM), (BREACHED, Reason.BREACH)])
def test_harm_and_breach_roll_back_in_every_state(
    plan: Plan, known: Evidence, reason: Reason
) -> None:
    last = len(plan.steps) - 1
    for state in (
        progress(0),
        progress(last),
        progress(last, at_step=0),
        replace(progress(last), paused=True),
        replace(progress(last), data_at=None),
        replace(progress(last), since=0.0),
    ):
        compared = replace(state, stepped_back=True)
        assert decide(plan, compared, known, NOW) == ROLL_BACK[reason]


def test_a_canary_that_is_bad_alone_is_first_compared_with_the_old_release() -> None:
    for state in (progress(LAST), replace(progress(LAST), paused=True)):
        assert decide(CANARY, state, BREACHED, NOW) == Decision(Action.STEP_BACK, Reason.BREACH, 1)
        slow = Decision(Action.STEP_BACK, Reason.SLOWER, 1)
        assert decide(CANARY, state, SLOW_ALONE, NOW) == slow
        again = replace(state, stepped_back=True)
        assert decide(CANARY, again, SLOW_ALONE, NOW) == ROLL_BACK[Reason.SLOWER]
    # There is no step at which both get requests, or it is known that the canary is worse.
    assert decide(BLUE_GREEN, progress(1), SLOW_ALONE, NOW) == ROLL_BACK[Reason.SLOWER]
    assert decide(BLUE_GREEN, progress(1), BREACHED, NOW) == ROLL_BACK[Reason.BREACH]
    assert decide(CANARY, progress(1), BREACHED, NOW) == ROLL_BACK[Reason.BREACH]
    assert decide(CANARY, progress(LAST), HARMFUL, NOW) == ROLL_BACK[Reason.HARM]


def test_what_the_canary_did_alone_is_forgotten_for_the_comparison() -> None:
    known = evidence((0, 0), (500, 50), 1.0)
    known.forget_alone()

    assert not known.breached


def test_an_abort_rolls_back_at_once() -> None:
    aborted = replace(progress(1), aborted=True)

    for state in (aborted, replace(aborted, paused=True), replace(aborted, data_at=None)):
        assert decide(CANARY, state, PROVEN, NOW) == ROLL_BACK[Reason.ABORTED]


@pytest.mark.parametrize("step", [0, 1, LAST])
def test_a_pause_holds_even_past_the_deadline(step: int) -> None:
    paused = replace(progress(step), paused=True)

    assert decide(CANARY, paused, PROVEN, NOW) == hold(step, Reason.PAUSED)
    assert decide(CANARY, replace(paused, since=-1e6), PROVEN, NOW) == hold(step, Reason.PAUSED)


@pytest.mark.parametrize(
    "data_at", [None, NOW - 31.0, NOW - 60.0], ids=["never", "stale", "before the step"]
)
def test_without_fresh_requests_a_step_is_held(data_at: float | None) -> None:
    state = replace(progress(1), data_at=data_at)

    assert decide(CANARY, state, PROVEN, NOW) == hold(1, Reason.NO_DATA)


def test_requests_of_the_step_before_are_not_fresh() -> None:
    state = replace(progress(1, at_step=5.0), data_at=NOW - 6.0)
    hasty = replace(CANARY, step_seconds=0.0)

    assert decide(hasty, state, PROVEN, NOW) == hold(1, Reason.NO_DATA)


def test_a_hold_for_lack_of_requests_ends_by_itself() -> None:
    state = replace(progress(1), data_at=NOW - 31.0)

    later = decide(CANARY, replace(state, data_at=NOW + 4.0), NOTHING, NOW + 5.0)

    assert later.action is Action.ADVANCE


def test_slow_polls_have_older_requests() -> None:
    state = replace(progress(1, at_step=200.0), data_at=NOW - 90.0)

    assert decide(replace(CANARY, poll_seconds=60.0), state, NOTHING, NOW).action is Action.ADVANCE


@pytest.mark.parametrize("step", [1, 2, LAST])
def test_a_mismatch_holds(step: int) -> None:
    assert decide(CANARY, progress(step), MISMATCHED, NOW) == hold(step, Reason.MISMATCH)


def test_all_requests_are_the_canarys_only_when_it_is_proven() -> None:
    before_last = LAST - 1

    assert decide(CANARY, progress(before_last), NOTHING, NOW) == hold(
        before_last, Reason.NOT_PROVEN
    )
    assert decide(CANARY, progress(before_last), PROVEN, NOW) == Decision(
        Action.ADVANCE, Reason.GOOD, LAST
    )


def test_the_last_step_has_its_time_and_is_promoted() -> None:
    assert decide(CANARY, progress(LAST, at_step=10.0), PROVEN, NOW) == hold(LAST, Reason.STEP_TIME)
    assert decide(CANARY, progress(LAST), PROVEN, NOW) == Decision(
        Action.PROMOTE, Reason.GOOD, LAST
    )


@pytest.mark.parametrize("plan", [CANARY, BLUE_GREEN, AB], ids=lambda plan: str(plan.strategy))
def test_nothing_is_promoted_without_proof(plan: Plan) -> None:
    last = len(plan.steps) - 1

    assert decide(plan, progress(last), NOTHING, NOW) == hold(last, Reason.NOT_PROVEN)


@pytest.mark.parametrize("plan", [BLUE_GREEN, AB], ids=lambda plan: str(plan.strategy))
def test_blue_green_and_ab_are_promoted_as_canaries_are(plan: Plan) -> None:
    assert decide(plan, progress(1, at_step=10.0), PROVEN, NOW) == hold(1, Reason.STEP_TIME)
    assert decide(plan, progress(1), PROVEN, NOW) == Decision(Action.PROMOTE, Reason.GOOD, 1)


def test_blue_green_needs_its_smoke_tests_and_no_proof_before_the_switch() -> None:
    assert decide(BLUE_GREEN, progress(0), PROVEN, NOW) == hold(0, Reason.SMOKE_TESTS)

    passed = replace(progress(0), smoke_tests_passed=True)

    assert decide(BLUE_GREEN, passed, NOTHING, NOW) == Decision(Action.ADVANCE, Reason.NOT_WORSE, 1)


def test_ab_begins_without_proof_or_smoke_tests() -> None:
    assert decide(AB, progress(0), NOTHING, NOW) == Decision(Action.ADVANCE, Reason.NOT_WORSE, 1)


@pytest.mark.parametrize("step", [0, 1, LAST])
def test_the_deadline_ends_what_is_not_decided(step: int) -> None:
    late = replace(progress(step), since=NOW - CANARY.deadline_seconds)

    assert decide(CANARY, late, NOTHING, NOW) == INCONCLUSIVE
    assert decide(CANARY, replace(late, data_at=None), PROVEN, NOW) == INCONCLUSIVE
    assert decide(CANARY, late, MISMATCHED, NOW) == INCONCLUSIVE


def test_what_is_ready_at_the_deadline_is_promoted() -> None:
    late = replace(progress(LAST), since=NOW - CANARY.deadline_seconds)

    assert decide(CANARY, late, PROVEN, NOW).action is Action.PROMOTE


@pytest.mark.parametrize(
    ("step", "stable", "canary", "expected"),
    [
        (0, (100, 100), (0, 0), True),
        (0, (100, 9), (0, 0), False),
        (1, (100, 100), (10, 10), True),
        (1, (100, 20), (10, 2), True),
        (1, (100, 20), (10, 0), False),
        (1, (100, 1), (10, 10), False),
        # One failed request of few is no outage.
        (1, (4, 4), (1, 1), False),
        (LAST, (0, 0), (100, 100), False),
    ],
)
def test_an_outage_is_where_all_releases_with_a_share_fail_many(
    step: int, stable: tuple[int, int], canary: tuple[int, int], expected: bool
) -> None:
    window = Window(0.0, 5.0, Counts(*stable), Counts(*canary))

    assert is_outage(CANARY.steps[step], window) is expected


def test_no_step_is_taken_while_both_releases_fail() -> None:
    failing = replace(progress(1), outage_at=NOW - 1)
    assert decide(CANARY, failing, PROVEN, NOW) == hold(1, Reason.OUTAGE)
    assert decide(CANARY, failing, HARMFUL, NOW) == ROLL_BACK[Reason.HARM]

    over = replace(progress(1), outage_at=NOW - 31)
    assert decide(CANARY, over, PROVEN, NOW).action is Action.ADVANCE


@pytest.mark.parametrize(
    ("step", "stable", "canary", "expected"),
    [
        (0, 1, 0, True),
        (0, 0, 1, False),
        (1, 1, 1, True),
        (1, 1, 0, False),
        (1, 0, 1, False),
        (LAST, 0, 1, True),
        (LAST, 1, 0, False),
    ],
)
def test_a_window_counts_as_data_if_every_arm_with_a_share_has_requests(
    step: int, stable: int, canary: int, expected: bool
) -> None:
    window = Window(0.0, 5.0, Counts(stable, 0), Counts(canary, 0))

    assert has_requests_for_every_arm(CANARY.steps[step], window) is expected


def test_where_requests_choose_both_must_have_some() -> None:
    assert has_requests_for_every_arm(AB.steps[1], Window(0.0, 5.0, Counts(1, 0), Counts(1, 0)))
    assert not has_requests_for_every_arm(AB.steps[1], Window(0.0, 5.0, Counts(1, 0), Counts(0, 0)))


@pytest.mark.parametrize("known", [NOTHING, MISMATCHED])
def test_a_walk_takes_each_step_when_its_time_is_over_and_asks_for_no_evidence(
    known: Evidence,
) -> None:
    walk = replace(AB, strategy=Strategy.WALK)
    quiet = replace(progress(0), data_at=None)

    assert decide(walk, quiet, known, NOW) == Decision(Action.ADVANCE, Reason.STEP_TIME, 1)
    early = replace(quiet, step_since=NOW - 1)
    assert decide(walk, early, known, NOW) == hold(0, Reason.STEP_TIME)
    last = replace(quiet, step=1)
    assert decide(walk, last, known, NOW) == Decision(Action.PROMOTE, Reason.STEP_TIME, 1)
