"""A runner goes on while its state, its hold or its target fail, and does what is right then."""

from __future__ import annotations

import asyncio

import pytest

from rollout.plan.model import Step
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.ports import RoutesEdited
from rollout.runner.state_store import ControlCommand, StateCorrupt
from tests.rollout.runner.failing_store import CANARY, FailingStore, ports_of, run
from tests.rollout.runner.simulated_service import Script, SimulatedService


async def test_without_a_state_no_step_up_is_taken(
    service: SimulatedService, store: FailingStore
) -> None:
    store.unsaved = (70, 400)

    assert await run(service, store) is Verdict.PROMOTED
    assert "hold state" in service.recorded
    assert service.history == ["0", "1", "2", "3"]
    assert service.seconds >= 400 + 2 * 60


@pytest.mark.parametrize("errors", [0.3, 0.0])
async def test_the_way_back_needs_no_saved_state(
    service: SimulatedService, store: FailingStore, errors: float
) -> None:
    async def break_it() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        store.unsaved = (service.seconds, float("inf"))
        service.errors = {"canary": errors}
        if not errors:
            await store.send_command(ControlCommand.ABORT)
        yield lambda: service.history[-1:] == ["0"]
        store.unsaved = (0.0, 0.0)

    verdict = await service.during(run(service, store), break_it())

    assert verdict is Verdict.ROLLED_BACK
    saved = await store.load()
    assert saved is not None
    assert (saved["ended"], saved["step"]) == (True, 0)
    # Told once, though the command stayed in the store for a while.
    assert [each for each in service.recorded if each.startswith("command")] == (
        [] if errors else ["command abort"]
    )


@pytest.mark.parametrize("errors", [0.3, 0.0])
async def test_nothing_is_changed_while_the_hold_is_unsure(
    service: SimulatedService, store: FailingStore, errors: float
) -> None:
    async def lose_hold() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        store.unsure = (service.seconds, service.seconds + 300)
        service.errors = {"canary": errors}
        yield lambda: service.seconds > store.unsure[1] - 5
        assert service.history == ["0", "1"]

    verdict = await service.during(run(service, store), lose_hold())

    assert verdict is (Verdict.ROLLED_BACK if errors else Verdict.PROMOTED)
    assert "hold hold" in service.recorded
    if errors:
        assert service.seconds < store.unsure[1] + 10


async def test_a_step_that_was_decided_before_an_outage_is_not_taken_after_it(
    service: SimulatedService, store: FailingStore
) -> None:
    """The canary turns bad meanwhile, and nothing can be read until the routes can be changed."""
    service.unchangeable = (100, 400)

    async def turn_bad() -> Script:
        yield lambda: "hold target" in service.recorded
        service.errors = {"canary": 0.5}
        service.unreadable = (service.seconds, 400)

    verdict = await service.during(run(service, store), turn_bad())

    assert verdict is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "0"]


async def test_an_abort_is_obeyed_after_the_decision_to_promote(
    service: SimulatedService, store: FailingStore
) -> None:
    class Promoting(SimulatedService):
        async def apply(self, step: Step) -> None:
            if step.name == "3" and self.history[-1:] == ["3"]:
                await store.send_command(ControlCommand.ABORT)
                # As if the API server didn't answer.
                await asyncio.Event().wait()
            await super().apply(step)

    service.__class__ = Promoting

    assert await run(service, store) is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "2", "3", "0"]


async def test_an_edit_of_the_routes_ends_no_runner(
    service: SimulatedService, store: FailingStore
) -> None:
    class Edited(SimulatedService):
        async def apply(self, step: Step) -> None:
            if step.name == "2" and self.seconds < 400:
                raise RoutesEdited("no step of the plan has this destination")
            await super().apply(step)

    service.__class__ = Edited

    assert await run(service, store) is Verdict.PROMOTED
    assert service.seconds > 400


async def test_a_damaged_command_ends_no_runner(
    service: SimulatedService, store: FailingStore
) -> None:
    store._directory.mkdir()
    (store._directory / "order.json").write_text("{")

    assert await run(service, store) is Verdict.PROMOTED
    assert "hold command" in service.recorded


async def test_a_damaged_state_is_replaced_by_a_new_rollout_if_told(
    service: SimulatedService, store: FailingStore
) -> None:
    store._directory.mkdir()
    (store._directory / "state.json").write_text("{")

    with pytest.raises(StateCorrupt, match="run with --again"):
        await run(service, store)

    again = Controller(CANARY, ports_of(service, store), again=True)
    assert await again.run() is Verdict.PROMOTED
