"""A release with workloads while changes, states and the API server fail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rollout.plan.model import Step
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.ports import ManagedByOther, Ports, TargetFailed
from rollout.runner.release_state import ReleaseState
from rollout.runner.workloads import Pods
from tests.rollout.runner.failing_store import FailingStore
from tests.rollout.runner.simulated_service import BEGAN, Script, SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


class Killed(Exception):
    """The runner ends in the middle of a change."""


@dataclass
class DiesAfterChange(SimulatedService):
    """Its runner is killed once, when step 1 is in force and nobody has said so."""

    is_alive: bool = True

    async def apply(self, step: Step) -> None:
        await super().apply(step)
        if step.name == "1" and self.is_alive:
            self.is_alive = False
            raise Killed


@dataclass
class SimulatedPods:
    """Pods are ready at once. ``retired_at`` are the steps in force as the canary's went."""

    service: SimulatedService
    retired_at: list[str] = field(default_factory=list)

    async def count_stable(self) -> int:
        return 4

    async def prepare(self, release: ReleaseState, share: float) -> Pods:  # noqa: ARG002 - a port
        return Pods(ready=True)

    async def promote(self, release: ReleaseState) -> Pods:  # noqa: ARG002 - a port
        return Pods(ready=True)

    async def restore(self) -> Pods:
        return Pods(ready=True)

    async def retire(self) -> None:
        self.retired_at.append(self.service.read_file()["step"])


async def test_a_change_that_was_not_confirmed_is_taken_back_before_the_pods_go(
    tmp_path: Path,
) -> None:
    service = DiesAfterChange()
    pods = SimulatedPods(service)

    def ports() -> Ports:
        ports = service.ports(DirectoryStateStore(tmp_path / "state"))
        return replace(ports, workloads=pods, images={"": "reg/kv:2"})

    with pytest.raises(Killed):
        await Controller(CANARY, ports()).run()
    # Nobody runs for a while, and the canary turns bad.
    service.errors = {"canary": 1.0}
    for _ in range(50):
        await service.sleep(2)

    assert await Controller(CANARY, ports()).run() is Verdict.ROLLED_BACK
    assert service.history == ["0", "1", "0"]
    assert pods.retired_at == ["0"]


async def test_a_promotion_that_cannot_be_saved_begins_no_step_again(tmp_path: Path) -> None:
    service = SimulatedService()
    store = FailingStore(tmp_path / "state", service)
    ports = replace(service.ports(store), store=store, workloads=SimulatedPods(service))

    async def fail_to_save() -> Script:
        yield lambda: service.history[-1:] == ["3"]
        store.unsaved = (service.seconds + 30, service.seconds + 100)

    run = Controller(CANARY, ports).run()

    assert await service.during(run, fail_to_save()) is Verdict.PROMOTED
    assert service.history == ["0", "1", "2", "3", "2", "1", "0"]


async def test_the_time_of_pods_begins_when_the_api_server_answers_again(tmp_path: Path) -> None:
    class Unanswered(SimulatedPods):
        asked_at: float | None = None

        async def prepare(self, release: ReleaseState, share: float) -> Pods:  # noqa: ARG002
            if 100 <= self.service.seconds < 800:
                raise TargetFailed("the API server is down")
            if share < 0.5:
                return Pods(ready=True)
            self.asked_at = self.asked_at or self.service.seconds
            return Pods(ready=self.service.seconds > self.asked_at + 30, detail="they start")

    service = SimulatedService()
    ports = service.ports(DirectoryStateStore(tmp_path / "state"))
    ports = replace(ports, workloads=Unanswered(service))

    assert await Controller(CANARY, ports).run() is Verdict.PROMOTED


async def test_pods_that_are_awaited_before_the_first_snapshot_have_their_time(
    tmp_path: Path,
) -> None:
    """Though this machine's clock is behind the source's."""

    class Late(SimulatedPods):
        async def prepare(self, release: ReleaseState, share: float) -> Pods:  # noqa: ARG002
            return Pods(ready=self.service.seconds > 40, detail="they start")

    service = SimulatedService(unreadable=(0, 10))
    ports = replace(
        service.ports(DirectoryStateStore(tmp_path / "state")),
        workloads=Late(service),
        clock=lambda: BEGAN + service.seconds - 3600,
    )

    assert await Controller(CANARY, ports).run() is Verdict.PROMOTED


async def test_a_promotion_that_is_not_confirmed_says_what_the_canary_gets(tmp_path: Path) -> None:
    class Claimed(SimulatedService):
        async def apply(self, step: Step) -> None:
            if self.history[-1:] == ["3"]:
                raise ManagedByOther("another controller manages the weights")
            await super().apply(step)

    service: SimulatedService = Claimed()
    store = DirectoryStateStore(tmp_path / "state")
    ports = replace(service.ports(store), workloads=SimulatedPods(service))
    controller = Controller(CANARY, ports)

    with pytest.raises(ManagedByOther, match="the canary still gets 100 % of the requests"):
        await controller.run()
    assert controller.describe_traffic() == "the canary still gets 100 % of the requests"

    service.__class__ = SimulatedService
    assert await Controller(CANARY, ports).run() is Verdict.PROMOTED
