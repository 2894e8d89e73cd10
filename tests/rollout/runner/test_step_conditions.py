"""A step may last for its own time, ask for requests, pause, and have an objective of its own."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from rollout.plan.model import Plan, StepConditions
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import ControlCommand
from tests.rollout.runner.simulated_service import Script, SimulatedService, plan_of


def plan_with(step: int = 1, deadline_seconds: float = 3600, **conditions: Any) -> Plan:
    plan = plan_of(0.0, 0.01, 0.5, 1.0, deadline_seconds=deadline_seconds)
    steps = [*plan.steps]
    steps[step] = dataclasses.replace(steps[step], conditions=StepConditions(**conditions))
    return dataclasses.replace(plan, steps=tuple(steps))


async def seconds_at_each_step(
    plan: Plan, service: SimulatedService, store: DirectoryStateStore
) -> list[float]:
    """Run to the promotion; return how long each step lasted."""
    times: list[float] = []
    apply = service.apply

    async def noting(step: Any) -> None:
        await apply(step)
        times.append(service.seconds)

    service.apply = noting  # type: ignore[method-assign]
    assert await Controller(plan, service.ports(store)).run() is Verdict.PROMOTED
    return [after - before for before, after in itertools.pairwise(times)]


async def test_a_burn_in_lasts_for_its_time(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    first, burn_in, third, _ = await seconds_at_each_step(plan_with(seconds=600), service, store)

    assert burn_in >= 600
    assert max(first, third) < 120


async def test_a_step_may_be_shorter_than_the_others(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    first, _, second, _ = await seconds_at_each_step(plan_with(step=0, seconds=10), service, store)

    assert first < 60 <= second


async def test_a_step_waits_for_its_requests(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    # 50 a second, of which the canary gets 1 %.
    _, waited, *_ = await seconds_at_each_step(plan_with(requests=100), service, store)

    assert 200 <= waited < 220
    assert "hold requests" in service.recorded


async def test_a_pause_of_the_plan_waits_for_a_person_and_stops_the_deadline(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    plan = plan_with(pause=True, deadline_seconds=300)

    async def resume_later() -> Script:
        yield lambda: "hold plan-pause" in service.recorded
        yield lambda: service.seconds > 420
        assert service.history == ["0", "1"]
        await store.send_command(ControlCommand.RESUME)

    run = Controller(plan, service.ports(store)).run()

    assert await service.during(run, resume_later()) is Verdict.PROMOTED
    assert service.history == ["0", "1", "2", "3"]


async def test_a_pause_of_the_plan_stops_the_deadline_while_nothing_is_read_too(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.unreadable = (500, 600)
    plan = plan_with(pause=True, deadline_seconds=300)

    async def resume_later() -> Script:
        yield lambda: service.seconds > 700
        assert service.history == ["0", "1"]
        await store.send_command(ControlCommand.RESUME)

    run = Controller(plan, service.ports(store)).run()

    assert await service.during(run, resume_later()) is Verdict.PROMOTED


async def test_a_bad_canary_goes_back_during_a_pause_of_the_plan(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    plan = plan_with(step=2, pause=True)

    async def turn_bad() -> Script:
        yield lambda: "hold plan-pause" in service.recorded
        service.errors = {"canary": 0.5}

    run = Controller(plan, service.ports(store)).run()

    assert await service.during(run, turn_bad()) is Verdict.ROLLED_BACK


async def test_a_step_with_an_objective_is_judged_by_its_own_requests(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    """2 % of failures are too many for the step, though both releases have them."""
    service.errors = {"canary": 0.02, "stable": 0.02}
    plan = dataclasses.replace(
        plan_with(step=2, deadline_seconds=500, objective=plan_of(0.0).objective),
        objective=dataclasses.replace(plan_of(0.0).objective, error_ratio=0.05),
    )

    assert await Controller(plan, service.ports(store)).run() is Verdict.INCONCLUSIVE
    assert service.history == ["0", "1", "2", "0"]
    assert "hold not-proven" in service.recorded


async def test_the_conditions_survive_a_new_runner(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    objective = plan_of(0.0).objective
    plan = plan_with(step=1, requests=100, objective=objective)
    run = Controller(plan, service.ports(store)).run()
    await service.stop_when(lambda: service.seconds > 150, run)
    saved = await store.load()
    assert saved is not None
    assert saved["step_evidence"]["canary"]["requests"] > 20

    assert await Controller(plan, service.ports(store)).run() is Verdict.PROMOTED
