"""The control loop from the first step to the verdict, with every interruption between."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rollout.plan.model import Plan, SmokeTest, Strategy
from rollout.plan.notify_spec import NotifySpec
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.event_recorder import EventRecorder
from rollout.runner.events import Event, EventKind
from rollout.runner.notifications import Notifier
from rollout.runner.rollout_state import PlanChanged, RolloutState
from rollout.runner.state_store import ControlCommand, StateHeld
from tests.rollout.runner.simulated_service import Script, SimulatedService, plan_of


@pytest.fixture
def service() -> SimulatedService:
    return SimulatedService()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStateStore:
    return DirectoryStateStore(tmp_path / "state")


CANARY = plan_of(0.0, 0.1, 0.5, 1.0)
#: For what lasts until the deadline.
SHORT = dataclasses.replace(CANARY, deadline_seconds=600)
SMOKE_TEST = SmokeTest("GET", "/", (), 200)
BLUE_GREEN = plan_of(0.0, 1.0, strategy=Strategy.BLUE_GREEN, smoke_tests=(SMOKE_TEST,))


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
