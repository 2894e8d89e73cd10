"""The control loop from the first step to the verdict, with every interruption between."""

from __future__ import annotations

import dataclasses

from rollout.plan.model import Plan, SmokeTest, Strategy
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import ControlCommand
from tests.rollout.runner.simulated_service import Script, SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)
#: For what lasts until the deadline.
SHORT = dataclasses.replace(CANARY, deadline_seconds=600)
SMOKE_TEST = SmokeTest("GET", "/", (), 200)
BLUE_GREEN = plan_of(0.0, 1.0, strategy=Strategy.BLUE_GREEN, smoke_tests=(SMOKE_TEST,))


async def run(plan: Plan, service: SimulatedService, store: DirectoryStateStore) -> Verdict:
    return await Controller(plan, service.ports(store)).run()


async def test_a_good_canary_goes_step_by_step_to_everything(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    assert await run(CANARY, service, store) is Verdict.PROMOTED

    assert service.history == ["0", "1", "2", "3"]
    # Each step had its time, the last one too.
    assert service.seconds >= 4 * 60
    assert service.recorded[-1] == "promoted: good"


async def test_releases_that_both_fail_are_held_and_never_called_good(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"stable": 1.0, "canary": 1.0}

    assert await run(SHORT, service, store) is Verdict.INCONCLUSIVE

    assert service.history == ["0"]
    assert "hold both-fail" in service.recorded
    assert not [each for each in service.recorded if "good" in each]


async def test_a_bad_canary_goes_back_at_once(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"canary": 0.3}

    assert await run(CANARY, service, store) is Verdict.ROLLED_BACK

    assert service.history == ["0", "1", "0"]
    assert service.seconds < 2 * 60
    assert service.recorded[-1] == "rolled-back: harm: errors"


async def test_a_slow_canary_goes_back_and_the_edge_is_named(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.slow = {"canary": 0.3, "stable": 0.01}

    assert await run(CANARY, service, store) is Verdict.ROLLED_BACK
    assert service.recorded[-1] == "rolled-back: harm: 0.1s"


async def test_an_outage_of_both_is_no_fault_of_the_canary(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"canary": 0.5, "stable": 0.5}

    assert await run(plan_of(0.0, 0.1, 1.0, deadline_seconds=600), service, store) is (
        Verdict.INCONCLUSIVE
    )
    # No step is taken meanwhile.
    assert service.history == ["0"]


async def test_without_requests_nothing_is_promoted_and_it_goes_on_when_they_come(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.quiet = (70, 1500)

    assert await run(CANARY, service, store) is Verdict.PROMOTED
    assert "hold no-data" in service.recorded
    assert service.seconds > 1500


async def test_without_any_requests_it_ends_where_it_began(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.rate = 0

    assert await run(SHORT, service, store) is Verdict.INCONCLUSIVE
    assert service.history == ["0"]


async def test_while_nothing_can_be_read_it_holds(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.unreadable = (130, 900)

    assert await run(CANARY, service, store) is Verdict.PROMOTED
    assert "hold source" in service.recorded
    assert service.history == ["0", "1", "2", "3"]
    assert service.seconds > 900


async def test_a_step_that_can_not_be_taken_is_taken_later(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.unchangeable = (50, 300)

    assert await run(CANARY, service, store) is Verdict.PROMOTED
    assert "hold target" in service.recorded
    assert service.history == ["0", "1", "2", "3"]


async def test_the_way_back_is_tried_until_it_is_taken(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"canary": 0.3}
    service.unchangeable = (62, 400)

    assert await run(CANARY, service, store) is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "0"]
    assert service.recorded.count("hold target") > 10


async def test_routes_that_somebody_changed_are_left_alone(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    """It holds, as another's change has a reason; at the deadline the first step is put back."""
    plan = plan_of(0.0, 0.1, 0.5, 1.0, deadline_seconds=400)

    async def meddle() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        file = service.read_file()
        file["step"], file["share"] = "elsewhere", 0.0
        file["history"].append("elsewhere")
        service._write(file)

    verdict = await service.during(run(plan, service, store), meddle())

    assert verdict is Verdict.INCONCLUSIVE
    assert "hold drift" in service.recorded
    assert service.history == ["0", "1", "elsewhere", "0"]


async def test_an_abort_goes_back(service: SimulatedService, store: DirectoryStateStore) -> None:
    await store.send_command(ControlCommand.ABORT)

    assert await run(CANARY, service, store) is Verdict.ROLLED_BACK
    assert service.recorded[-1] == "rolled-back: aborted"
    assert service.history == ["0"]
    assert await store.pending_command() is None


async def test_a_pause_holds_and_goes_on_when_told(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    await store.send_command(ControlCommand.PAUSE)

    async def resume_later() -> Script:
        yield lambda: service.seconds >= 500
        assert service.history == ["0"]
        await store.send_command(ControlCommand.RESUME)

    verdict = await service.during(run(CANARY, service, store), resume_later())

    assert verdict is Verdict.PROMOTED
    assert "hold paused" in service.recorded


async def test_a_paused_canary_that_turns_bad_goes_back_all_the_same(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    async def pause_and_break() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        await store.send_command(ControlCommand.PAUSE)
        service.errors = {"canary": 0.5}

    verdict = await service.during(run(CANARY, service, store), pause_and_break())

    assert verdict is Verdict.ROLLED_BACK


async def test_blue_green_waits_for_the_smoke_tests_and_is_proven_after_the_switch(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    assert await run(BLUE_GREEN, service, store) is Verdict.PROMOTED
    assert service.history == ["0", "1"]


async def test_smoke_tests_that_fail_prevent_the_switch(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.smoke_test_failure = "GET / was answered 503"

    assert (
        await run(dataclasses.replace(BLUE_GREEN, deadline_seconds=600), service, store)
        is Verdict.INCONCLUSIVE
    )
    assert service.history == ["0"]
    assert "hold unchecked" in service.recorded


async def test_a_switch_that_violates_the_objective_is_rolled_back(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"canary": 0.1}

    assert await run(BLUE_GREEN, service, store) is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "0"]
    assert service.recorded[-1] == "rolled-back: breach"


async def test_requests_that_select_the_canary_are_compared_with_the_others(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    plan = plan_of(0.0, None, strategy=Strategy.AB)

    assert await run(plan, service, store) is Verdict.PROMOTED
