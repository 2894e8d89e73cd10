"""A change of routes that fails half-way, commands meanwhile, and holds that are recorded once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from rollout.evidence.counts import CounterSnapshot
from rollout.plan.model import Plan, SmokeTest, Step
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.event_recorder import EventRecorder
from rollout.runner.events import Event, EventKind
from rollout.runner.ports import SourceFailed, TargetFailed
from rollout.runner.state_store import ControlCommand
from tests.rollout.runner.simulated_service import Script, SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


@dataclass
class FailsAfterAppfailing(SimulatedService):
    """Changes its routes, but raises TargetFailed for a while."""

    failing: tuple[float, float] = (0, 0)

    async def apply(self, step: Step) -> None:
        # It takes time before and after the change, as API servers and proxies do.
        await self.sleep(3)
        await super().apply(step)
        await self.sleep(3)
        if self._within(self.failing, self.read_file()):
            raise TargetFailed("istiod has not applied it")


async def run(
    plan: Plan, service: SimulatedService, store: DirectoryStateStore
) -> tuple[Verdict, list[Event]]:
    """Run with the real recorder; return the verdict and the events."""
    events: list[Event] = []
    ports = service.ports(store)
    recorder = EventRecorder(plan, store, ports.clock, [events.append])
    verdict = await Controller(plan, replace(ports, recorder=recorder)).run()
    return verdict, events


async def test_a_step_that_was_applied_but_reported_as_failed_distorts_no_evidence(
    store: DirectoryStateStore,
) -> None:
    """Its requests are no mismatch with the weights of the step before."""
    service = FailsAfterAppfailing(failing=(50, 400))

    verdict, events = await run(CANARY, service, store)

    assert verdict is Verdict.PROMOTED
    assert service.history == ["0", "1", "2", "3"]
    meanwhile = [
        each
        for each in events
        if each.kind is EventKind.WINDOW and each.number == 0 and each.canary
    ]
    between = [each for each in meanwhile if each.canary and each.canary.requests]
    assert between
    assert {each.share for each in between} == {None}
    assert max(each.evidence.harm for each in events if each.evidence) < 1
    assert max(each.evidence.mismatch for each in events if each.evidence) < 1000


async def test_a_bad_canary_is_taken_back_from_half_way(store: DirectoryStateStore) -> None:
    service = FailsAfterAppfailing(failing=(50, 400), errors={"canary": 0.3})

    verdict, events = await run(CANARY, service, store)

    assert verdict is Verdict.ROLLED_BACK
    # The rollback happens before the step was ever known to be in force.
    assert service.history == ["0", "1", "0"]
    assert events[-1].reason == "harm: errors"


async def test_an_outage_that_ends_with_a_step_back_is_not_held_against_the_canary(
    store: DirectoryStateStore,
) -> None:
    """What it failed while it was alone is in one window with what the old release answered."""

    class Recovers(FailsAfterAppfailing):
        async def apply(self, step: Step) -> None:
            await self.sleep(3)
            self.errors = {}
            await super().apply(step)

    service = FailsAfterAppfailing()

    async def fail() -> Script:
        yield lambda: service.history[-1:] == ["3"]
        alone_at = service.seconds
        yield lambda: service.seconds > alone_at + 20
        service.__class__ = Recovers
        service.errors = {"canary": 1.0, "stable": 1.0}

    verdict, _ = await service.during(run(CANARY, service, store), fail())

    assert verdict is Verdict.PROMOTED
    assert service.history == ["0", "1", "2", "3", "1", "2", "3"]


@pytest.mark.parametrize("unchangeable", [(0, 300), (50, 300)], ids=["first step", "a step"])
async def test_an_abort_is_heard_while_nothing_can_be_changed(
    store: DirectoryStateStore, unchangeable: tuple[float, float]
) -> None:
    service = SimulatedService(unchangeable=unchangeable)

    async def abort() -> Script:
        yield lambda: service.seconds >= 120
        await store.send_command(ControlCommand.ABORT)

    verdict, events = await service.during(run(CANARY, service, store), abort())

    assert verdict is Verdict.ROLLED_BACK
    assert events[-1].reason == "aborted"
    assert service.history == ["0"]
    assert await store.pending_command() is None


async def test_a_command_during_a_rollback_does_not_shorten_the_waits(
    store: DirectoryStateStore,
) -> None:
    service = SimulatedService(unchangeable=(62, 4000), errors={"canary": 0.3})

    async def pause() -> Script:
        yield lambda: service.seconds >= 200
        await store.send_command(ControlCommand.PAUSE)

    verdict, events = await service.during(run(CANARY, service, store), pause())

    assert verdict is Verdict.ROLLED_BACK
    assert [each.reason for each in events if each.kind is EventKind.COMMAND] == ["pause"]
    # Recorded once, however often it is tried.
    assert [each.detail for each in events if each.reason == "target"] == ["the API server is down"]


async def test_a_command_that_comes_too_late_does_not_affect_the_next_rollout(
    store: DirectoryStateStore,
) -> None:
    class Late(SimulatedService):
        async def record_verdict(self, *_: object) -> None:
            await store.send_command(ControlCommand.ABORT)

    assert await Controller(CANARY, Late().ports(store)).run() is Verdict.PROMOTED
    assert await store.pending_command() is None


async def test_smoke_tests_that_fail_hold_a_canary_too_and_are_recorded_once(
    store: DirectoryStateStore,
) -> None:
    plan = plan_of(
        0.0, 0.5, 1.0, deadline_seconds=300, smoke_tests=(SmokeTest("GET", "/", (), 200),)
    )
    service = SimulatedService(smoke_test_failure="GET / was answered 503 instead of 200")

    verdict, events = await run(plan, service, store)

    assert verdict is Verdict.INCONCLUSIVE
    assert service.history == ["0"]
    assert [(each.reason, each.detail) for each in events if each.kind is EventKind.HELD] == [
        ("unchecked", "GET / was answered 503 instead of 200")
    ]
    assert events[-1].detail == (
        "the plan's deadline passed while the rollout waited: GET / was answered 503 instead of 200"
    )


async def test_a_source_that_fails_is_recorded_once(store: DirectoryStateStore) -> None:
    class Unreadable(SimulatedService):
        async def read(self) -> CounterSnapshot:
            if 130 <= self.seconds < 900:
                raise SourceFailed(f"the youngest sample is {self.seconds - 130:.0f} s old")
            return await super().read()

    verdict, events = await run(CANARY, Unreadable(), store)

    assert verdict is Verdict.PROMOTED
    # A growing age is no new reason.
    assert len([each for each in events if each.reason == "source"]) == 1
