"""A runner that goes on where another one ended, was killed, or still runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from rollout.plan.model import Plan
from rollout.plan.notify_spec import NotifySpec
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.event_recorder import EventRecorder
from rollout.runner.events import Event, EventKind
from rollout.runner.notifications import Notifier
from rollout.runner.rollout_state import PlanChanged, RolloutState
from rollout.runner.state_store import StateHeld
from tests.rollout.runner.simulated_service import SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events = list[Event]()
        self.keys = list[str]()

    def post_event(self, event: Event, key: str) -> None:
        self.events.append(event)
        self.keys.append(key)

    async def finish(self) -> None:
        pass


class Killed(BaseException):
    """Ends a runner as a kill does, without a word."""


def _killed_at_the_end(
    save: Callable[[DirectoryStateStore, Mapping[str, Any]], Awaitable[None]],
) -> Callable[[DirectoryStateStore, Mapping[str, Any]], Awaitable[None]]:
    """Return a ``save`` that kills before it notes that the verdict is recorded."""

    async def killed(store: DirectoryStateStore, state: Mapping[str, Any]) -> None:
        if state["end_recorded"]:
            raise Killed
        await save(store, state)

    return killed


async def run(plan: Plan, service: SimulatedService, store: DirectoryStateStore) -> Verdict:
    return await Controller(plan, service.ports(store)).run()


async def test_what_has_ended_is_not_begun_anew(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    await run(CANARY, service, store)
    before = service.seconds

    assert await run(CANARY, service, store) is Verdict.PROMOTED
    assert service.seconds == before


async def test_what_has_ended_is_shown_again_and_told_once(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    shown, listener = list[Event](), Listener()
    ports = service.ports(store)
    recorder = EventRecorder(CANARY, store, ports.clock, [shown.append], None, [listener])
    ports = dataclasses.replace(ports, recorder=recorder)
    await Controller(CANARY, ports).run()
    journal = store._events.read_text()
    told = listener.events
    before, first = shown.copy(), told.copy()

    assert await Controller(CANARY, ports).run() is Verdict.PROMOTED

    assert before == first
    assert journal.count(EventKind.PROMOTED.value) == 1
    assert (store._events.read_text(), told) == (journal, first)
    assert [each.kind for each in shown[len(before) :]] == [EventKind.RESUMED, EventKind.PROMOTED]


async def test_a_verdict_that_a_killed_runner_recorded_is_told_again_with_the_same_key(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    """It was killed between the journal and the state. The next one doesn't know the last hold."""
    plan = plan_of(0.0, 0.1, 1.0, deadline_seconds=300)
    service.quiet = (0, 1000)
    listener, notified = Listener(), list[dict[str, Any]]()

    async def notify(_: str, __: str, document: dict[str, Any]) -> None:
        notified.append(document)

    async def run() -> Verdict:
        spec = NotifySpec(webhook="http://localhost/", events=("inconclusive",))
        notifier = Notifier("shop", [(spec, notify)])
        try:
            ports = service.ports(store)
            recorder = EventRecorder(plan, ports.store, ports.clock, [], notifier, [listener])
            return await Controller(plan, dataclasses.replace(ports, recorder=recorder)).run()
        finally:
            await notifier.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DirectoryStateStore, "save", _killed_at_the_end(DirectoryStateStore.save))
        with pytest.raises(Killed):
            await run()
    for _ in range(2):
        assert await run() is Verdict.INCONCLUSIVE

    assert store._events.read_text().count(EventKind.INCONCLUSIVE.value) == 1
    assert '"resumed"' not in store._events.read_text()
    assert listener.keys[-2:] == [listener.keys[-1]] * 2
    assert [each["id"] for each in notified] == listener.keys[-2:]
    assert len({each["detail"] for each in notified}) == 2


async def test_a_verdict_that_could_not_be_recorded_is_recorded_by_the_next_runner(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    """A runner that was killed between the end and the journal leaves the same."""
    ports = service.ports(store)
    recorder = EventRecorder(CANARY, store, ports.clock, [])
    ports = dataclasses.replace(ports, recorder=recorder)

    def fill_disk(event: Event) -> None:
        if event.kind is EventKind.STEP and event.step == CANARY.steps[-1].name:
            store._events.rename(store._events.with_name("before"))
            store._events.mkdir()

    recorder._viewers = [fill_disk]
    assert await Controller(CANARY, ports).run() is Verdict.PROMOTED
    store._events.rmdir()
    recorder._viewers = []

    for _ in range(2):
        assert await Controller(CANARY, ports).run() is Verdict.PROMOTED

    assert store._events.read_text().count(EventKind.PROMOTED.value) == 1


async def test_another_plan_does_not_go_on_with_this_one_s_evidence(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    await run(CANARY, service, store)

    with pytest.raises(PlanChanged, match="the plan has changed"):
        await run(plan_of(0.0, 0.2, 1.0), service, store)


async def test_a_second_runner_is_refused(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    async with store.hold():
        with pytest.raises(StateHeld):
            await run(CANARY, service, DirectoryStateStore(store._directory))


async def test_a_state_is_restored_exactly(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    service.errors = {"canary": 0.001, "stable": 0.0007}
    await run(CANARY, service, store)
    saved = await store.load()

    assert saved is not None
    assert RolloutState.load(CANARY, saved).dump(CANARY) == saved
