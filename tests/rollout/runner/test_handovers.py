"""What a runner finds that goes on where another one was killed or lost its hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollout.plan.model import Step, StepConditions
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.state_store import ControlCommand, PendingCommand, StateTaken
from tests.rollout.runner.failing_store import CANARY, FailingStore, ports_of, run
from tests.rollout.runner.simulated_service import Script, SimulatedService


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
