"""The times of a rollout are by the clock of Prometheus, whatever this machine's clock says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollout.plan.model import Step
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.ports import Ports
from rollout.runner.state_store import ControlCommand
from tests.rollout.runner.failing_store import CANARY, FailingStore, ports_of, run
from tests.rollout.runner.simulated_service import BEGAN, Script, SimulatedService


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
