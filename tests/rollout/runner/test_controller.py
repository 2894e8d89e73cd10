"""From the first step to the verdict, with everything that can come between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rollout.plan.model import Check, Plan, Strategy
from rollout.runner.controller import Controller, Verdict
from rollout.runner.directory_state_store import DirectoryState
from rollout.runner.rollout_state import Standing, StandingInvalid
from rollout.runner.state_store import Order, StateHeld
from tests.rollout.runner.simulated_service import Town, plan_of, until


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryState:
    return DirectoryState(tmp_path / "state")


CANARY = plan_of(0.0, 0.1, 0.5, 1.0)
LOOK = Check("GET", "/", (), 200)
FLIP = plan_of(0.0, 1.0, strategy=Strategy.BLUE_GREEN, checks=(LOOK,))


async def run(plan: Plan, town: Town, store: DirectoryState) -> Verdict:
    return await Controller(plan, town.world(store)).run()


async def test_a_good_canary_goes_step_by_step_to_everything(
    town: Town, store: DirectoryState
) -> None:
    assert await run(CANARY, town, store) is Verdict.PROMOTED

    assert town.history == ["0", "1", "2", "3"]
    # Each step had its time, the last one too.
    assert town.seconds >= 4 * 60
    assert town.said[-1] == "ended promoted: good"


async def test_a_bad_canary_goes_back_at_once(town: Town, store: DirectoryState) -> None:
    town.errors = {"canary": 0.3}

    assert await run(CANARY, town, store) is Verdict.ROLLED_BACK

    assert town.history == ["0", "1", "0"]
    assert town.seconds < 2 * 60
    assert town.said[-1] == "ended rolled-back: harm: errors"


async def test_a_slow_canary_goes_back_and_the_edge_is_named(
    town: Town, store: DirectoryState
) -> None:
    town.slow = {"canary": 0.3, "stable": 0.01}

    assert await run(CANARY, town, store) is Verdict.ROLLED_BACK
    assert town.said[-1] == "ended rolled-back: harm: 0.1s"


async def test_an_outage_of_both_is_no_fault_of_the_canary(
    town: Town, store: DirectoryState
) -> None:
    town.errors = {"canary": 0.5, "stable": 0.5}

    assert await run(plan_of(0.0, 0.1, 1.0, deadline_seconds=600), town, store) is (
        Verdict.INCONCLUSIVE
    )
    # It was never proven good, either.
    assert town.history == ["0", "1", "0"]


async def test_without_requests_nothing_is_promoted_and_it_goes_on_when_they_come(
    town: Town, store: DirectoryState
) -> None:
    town.quiet = (70, 1500)

    assert await run(CANARY, town, store) is Verdict.PROMOTED
    assert "held no-data" in town.said
    assert town.seconds > 1500


async def test_without_any_requests_it_ends_where_it_began(
    town: Town, store: DirectoryState
) -> None:
    town.rate = 0

    assert await run(CANARY, town, store) is Verdict.INCONCLUSIVE
    assert town.history == ["0"]


async def test_while_nothing_can_be_read_it_holds(town: Town, store: DirectoryState) -> None:
    town.blind = (130, 900)

    assert await run(CANARY, town, store) is Verdict.PROMOTED
    assert "held source" in town.said
    assert town.history == ["0", "1", "2", "3"]
    assert town.seconds > 900


async def test_a_step_that_can_not_be_taken_is_taken_later(
    town: Town, store: DirectoryState
) -> None:
    town.stuck = (50, 300)

    assert await run(CANARY, town, store) is Verdict.PROMOTED
    assert "held target" in town.said
    assert town.history == ["0", "1", "2", "3"]


async def test_the_way_back_is_tried_until_it_is_taken(town: Town, store: DirectoryState) -> None:
    town.errors = {"canary": 0.3}
    town.stuck = (62, 400)

    assert await run(CANARY, town, store) is Verdict.ROLLED_BACK
    assert town.history == ["0", "1", "0"]
    assert town.said.count("held target") > 10


async def test_routes_that_somebody_changed_are_left_alone(
    town: Town, store: DirectoryState
) -> None:
    """It holds, as another's change has a reason; at the deadline the first step is put back."""
    plan = plan_of(0.0, 0.1, 0.5, 1.0, deadline_seconds=400)

    async def meddle() -> None:
        await until(lambda: town.history[-1:] == ["1"])
        file = town.read_file()
        file["step"], file["share"] = "elsewhere", 0.0
        file["history"].append("elsewhere")
        town._write(file)

    verdict, _ = await asyncio.gather(run(plan, town, store), meddle())

    assert verdict is Verdict.INCONCLUSIVE
    assert "held drift" in town.said
    assert town.history == ["0", "1", "elsewhere", "0"]


async def test_an_abort_goes_back(town: Town, store: DirectoryState) -> None:
    await store.give_order(Order.ABORT)

    assert await run(CANARY, town, store) is Verdict.ROLLED_BACK
    assert town.said[-1] == "ended rolled-back: aborted"
    assert town.history == ["0"]
    assert await store.order() is None


async def test_a_pause_holds_and_goes_on_when_told(town: Town, store: DirectoryState) -> None:
    await store.give_order(Order.PAUSE)

    async def resume_later() -> None:
        await until(lambda: town.seconds >= 500)
        assert town.history == ["0"]
        await store.give_order(Order.RESUME)

    verdict, _ = await asyncio.gather(run(CANARY, town, store), resume_later())

    assert verdict is Verdict.PROMOTED
    assert "held paused" in town.said


async def test_a_paused_canary_that_turns_bad_goes_back_all_the_same(
    town: Town, store: DirectoryState
) -> None:
    async def pause_and_break() -> None:
        await until(lambda: town.history[-1:] == ["1"])
        await store.give_order(Order.PAUSE)
        town.errors = {"canary": 0.5}

    verdict, _ = await asyncio.gather(run(CANARY, town, store), pause_and_break())

    assert verdict is Verdict.ROLLED_BACK


async def test_a_flip_waits_for_the_checks_and_is_proven_after_it(
    town: Town, store: DirectoryState
) -> None:
    assert await run(FLIP, town, store) is Verdict.PROMOTED
    assert town.history == ["0", "1"]


async def test_checks_that_fail_never_flip(town: Town, store: DirectoryState) -> None:
    town.broken_checks = "GET / was answered 503"

    assert await run(FLIP, town, store) is Verdict.INCONCLUSIVE
    assert town.history == ["0"]
    assert "held unchecked" in town.said


async def test_a_flip_that_breaks_the_objective_is_flipped_back(
    town: Town, store: DirectoryState
) -> None:
    town.errors = {"canary": 0.1}

    assert await run(FLIP, town, store) is Verdict.ROLLED_BACK
    assert town.history == ["0", "1", "0"]
    assert town.said[-1] == "ended rolled-back: breach"


async def test_those_who_ask_are_compared_with_those_who_do_not(
    town: Town, store: DirectoryState
) -> None:
    plan = plan_of(0.0, None, strategy=Strategy.AB)

    assert await run(plan, town, store) is Verdict.PROMOTED


async def test_what_has_ended_is_not_begun_anew(town: Town, store: DirectoryState) -> None:
    await run(CANARY, town, store)
    before = town.seconds

    assert await run(CANARY, town, store) is Verdict.PROMOTED
    assert town.seconds == before


async def test_another_plan_does_not_go_on_with_this_one_s_evidence(
    town: Town, store: DirectoryState
) -> None:
    await run(CANARY, town, store)

    with pytest.raises(StandingInvalid, match="the plan has changed"):
        await run(plan_of(0.0, 0.2, 1.0), town, store)


async def test_a_second_runner_is_refused(town: Town, store: DirectoryState) -> None:
    async with store.hold():
        with pytest.raises(StateHeld):
            await run(CANARY, town, DirectoryState(store._directory))


async def test_a_standing_comes_back_exactly(town: Town, store: DirectoryState) -> None:
    town.errors = {"canary": 0.001, "stable": 0.0007}
    await run(CANARY, town, store)
    kept = await store.load()

    assert kept is not None
    assert Standing.load(CANARY, kept).dump(CANARY) == kept
