"""A runner goes on while its state, its hold or its target fail, and does what is right then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout.plan.model import Step, StepConditions
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.ports import Ports, RoutesEdited
from rollout.runner.state_store import (
    ControlCommand,
    PendingCommand,
    StateCorrupt,
    StateTaken,
)
from tests.rollout.runner.failing_store import FailingStore
from tests.rollout.runner.simulated_service import BEGAN, Script, SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


class LosingStore(FailingStore):
    """A store that another runner takes once, which changes its state and ends."""

    def __init__(self, directory: Path, service: SimulatedService, **changes: object) -> None:
        super().__init__(directory, service)
        self.losing = False
        self._changes = changes

    async def save(self, state: Mapping[str, Any]) -> None:
        if not self.losing:
            await super().save(state)
            return
        self.losing = False
        if self._changes:
            await super().save({**state, **self._changes})
        raise StateTaken("another runner has the rollout")


@pytest.fixture
def service() -> SimulatedService:
    return SimulatedService()


@pytest.fixture
def store(tmp_path: Path, service: SimulatedService) -> FailingStore:
    return FailingStore(tmp_path / "state", service)


def ports_of(service: SimulatedService, store: DirectoryStateStore) -> Ports:
    return replace(service.ports(store), store=store)


async def run(service: SimulatedService, store: DirectoryStateStore) -> Verdict:
    return await Controller(CANARY, ports_of(service, store)).run()


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


async def test_a_step_that_a_killed_runner_decided_on_is_decided_again(
    service: SimulatedService, store: FailingStore
) -> None:
    service.unchangeable = (100, 10_000)
    await service.stop_when(lambda: "hold target" in service.recorded, run(service, store))
    service.unchangeable = (0, 0)
    # Nobody runs for a while, and the canary turns bad.
    service.errors = {"canary": 0.5}
    for _ in range(50):
        await service.sleep(2)

    assert await run(service, store) is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "0"]


async def test_a_change_that_a_killed_runner_left_half_done_is_undone_and_decided_again(
    service: SimulatedService, store: FailingStore
) -> None:
    """It had changed the first of two objects."""
    service.unchangeable = (100, 10_000)
    await service.stop_when(lambda: "hold target" in service.recorded, run(service, store))
    service.unchangeable = (0, 0)
    service.half_done = True
    file = service.read_file()
    file["step"], file["share"] = "half of 2", 0.3
    service._write(file)

    class Slow(SimulatedService):
        async def apply(self, step: Step) -> None:
            await self.sleep(10)  # an API server and its proxies take time
            await super().apply(step)

    service.__class__ = Slow

    assert await run(service, store) is Verdict.PROMOTED
    assert service.history == ["0", "1", "1", "2", "3"]
    # What came before the way back was split as by no step.
    assert "hold mismatch" not in service.recorded


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


@pytest.mark.parametrize("skew", [120.0, -120.0])
async def test_a_resumed_runner_with_another_clock_is_not_misled(
    service: SimulatedService, store: FailingStore, skew: float
) -> None:
    told: list[str] = []

    def skewed() -> Ports:
        clock = lambda: BEGAN + service.seconds + skew  # noqa: E731 - as a port has it
        return replace(ports_of(service, store), clock=clock, say=told.append)

    first = Controller(CANARY, skewed()).run()
    await service.stop_when(lambda: service.history[-1:] == ["1"], first)

    assert await Controller(CANARY, skewed()).run() is Verdict.PROMOTED
    assert service.seconds < 4 * 60 + 30
    direction = "behind" if skew > 0 else "ahead of"
    (sentence,) = set(told)
    assert sentence.startswith(f"the source's clock is 120 s {direction} this machine's")


async def test_a_first_change_that_fails_spoils_no_evidence_by_another_clock(
    service: SimulatedService, store: FailingStore
) -> None:
    service.unchangeable = (0, 10)
    ports = ports_of(service, store)
    ahead = replace(ports, clock=lambda: BEGAN + service.seconds + 3600)

    assert await Controller(CANARY, ahead).run() is Verdict.PROMOTED
    assert service.seconds < 4 * 60 + 60


async def test_a_pause_before_the_first_snapshot_takes_no_time_by_another_clock(
    service: SimulatedService, store: FailingStore
) -> None:
    service.unreadable = (0, 10)
    ports = ports_of(service, store)
    ahead = replace(ports, clock=lambda: BEGAN + service.seconds + 7200)

    async def pause() -> Script:
        yield lambda: service.seconds > 3
        await store.send_command(ControlCommand.PAUSE)
        yield lambda: service.seconds > 30
        await store.send_command(ControlCommand.RESUME)

    verdict = await service.during(Controller(CANARY, ahead).run(), pause())

    assert verdict is Verdict.PROMOTED


async def test_a_command_that_a_killed_runner_did_not_acknowledge_is_obeyed_once(
    service: SimulatedService, store: FailingStore
) -> None:
    """A second resume would end the plan's own pause, which nobody has ended."""
    steps = [*CANARY.steps]
    steps[1] = replace(steps[1], conditions=StepConditions(pause=True))
    plan = replace(CANARY, steps=tuple(steps))

    class Killed(Exception):
        pass

    class Unacknowledged(FailingStore):
        async def acknowledge(self, pending: PendingCommand) -> None:
            if pending.command is ControlCommand.RESUME:
                raise Killed
            await super().acknowledge(pending)

    async def pause() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        await store.send_command(ControlCommand.PAUSE)
        yield lambda: "hold paused" in service.recorded
        await store.send_command(ControlCommand.RESUME)

    first = Controller(plan, ports_of(service, Unacknowledged(store._directory, service)))
    with pytest.raises(Killed):
        await service.during(first.run(), pause())

    async def resume_later() -> Script:
        yield lambda: service.seconds > 300
        assert service.history == ["0", "1"]
        await store.send_command(ControlCommand.RESUME)

    second = Controller(plan, ports_of(service, store)).run()
    assert await service.during(second, resume_later()) is Verdict.PROMOTED
    assert service.recorded.count("command resume") == 2


async def test_an_abort_that_was_not_saved_before_the_hold_was_lost_is_obeyed_again(
    service: SimulatedService, store: FailingStore
) -> None:
    lost = LosingStore(store._directory, service)

    async def abort() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        await lost.send_command(ControlCommand.ABORT)
        lost.losing = True

    run = Controller(CANARY, ports_of(service, lost)).run()

    assert await service.during(run, abort()) is Verdict.ROLLED_BACK


async def test_a_new_rollout_that_another_runner_has_ended_is_not_begun_again(
    service: SimulatedService, store: FailingStore
) -> None:
    ended = {"step": 0, "intended": 0, "verdict": "rolled-back", "reason": "harm", "ended": True}
    lost = LosingStore(store._directory, service, **ended)

    async def lose() -> Script:
        yield lambda: service.history[-1:] == ["1"]
        lost.losing = True

    run = Controller(CANARY, ports_of(service, lost), again=True).run()

    assert await service.during(run, lose()) is Verdict.ROLLED_BACK
    assert service.history == ["0", "1"]


async def test_a_change_that_is_found_while_nothing_is_read_begins_its_step_then(
    service: SimulatedService, store: FailingStore
) -> None:
    """Not when the runner that made it was killed."""

    class Killed(Exception):
        pass

    class Dying(SimulatedService):
        async def apply(self, step: Step) -> None:
            await super().apply(step)
            if step.name == "2":
                raise Killed

    service.__class__ = Dying
    with pytest.raises(Killed):
        await run(service, store)
    for _ in range(100):
        await service.sleep(3)
    service.__class__ = SimulatedService
    again_at = service.seconds
    service.unreadable = (again_at, again_at + 20)

    again = run(service, store)
    await service.stop_when(lambda: service.history[-1:] == ["3"], again)
    assert service.seconds >= again_at + 60


@pytest.mark.parametrize("seen_by", ["the first runner", "the second runner"])
async def test_routes_that_others_changed_while_nobody_ran_make_no_mismatch(
    service: SimulatedService, store: FailingStore, seen_by: str
) -> None:
    def change(step: str, share: float) -> None:
        file = service.read_file()
        file["step"], file["share"] = step, share
        service._write(file)

    def is_first() -> bool:
        if service.history[-1:] != ["1"]:
            return False
        if seen_by == "the second runner":
            return True
        change("edited", 0.9)
        return "hold drift" in service.recorded

    await service.stop_when(is_first, run(service, store))
    change("edited", 0.9)
    for _ in range(50):
        await service.sleep(2)
    if seen_by == "the first runner":
        change("1", 0.1)

    async def restore() -> Script:
        if seen_by == "the second runner":
            yield lambda: "hold drift" in service.recorded
            change("1", 0.1)
        yield lambda: True

    assert await service.during(run(service, store), restore()) is Verdict.PROMOTED
    assert "hold drift" in service.recorded
    assert "hold mismatch" not in service.recorded


async def test_a_command_to_a_rollout_that_had_ended_is_none_to_the_next_one(
    service: SimulatedService, store: FailingStore
) -> None:
    """The runner is killed while it tells the verdict, and the command comes before that."""

    class Killed(Exception):
        pass

    class Dying(SimulatedService):
        async def record_verdict(self, *_: object) -> None:
            await store.send_command(ControlCommand.ABORT)
            raise Killed

    service.__class__ = Dying
    with pytest.raises(Killed):
        await run(service, store)
    service.__class__ = SimulatedService

    again = Controller(CANARY, ports_of(service, store), again=True)
    assert await again.run() is Verdict.PROMOTED
    assert "command abort" not in service.recorded
