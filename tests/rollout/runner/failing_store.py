"""A state store that fails, for tests of the runner, and runs over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.ports import Ports
from rollout.runner.state_store import StateFailed
from tests.rollout.runner.simulated_service import SimulatedService, plan_of

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


class FailingStore(DirectoryStateStore):
    """A store that can't save between two times, or isn't sure of its hold."""

    def __init__(self, directory: Path, service: SimulatedService) -> None:
        super().__init__(directory)
        self._service = service
        self.unsaved = self.unsure = (0.0, 0.0)

    def _within(self, span: tuple[float, float]) -> bool:
        return span[0] <= self._service.seconds < span[1]

    async def save(self, state: Mapping[str, Any]) -> None:
        if self._within(self.unsaved) or self._within(self.unsure):
            raise StateFailed("the state is full")
        await super().save(state)

    def why_not_held(self) -> str:
        return "the lease could not be renewed" if self._within(self.unsure) else ""


def ports_of(service: SimulatedService, store: DirectoryStateStore) -> Ports:
    return replace(service.ports(store), store=store)


async def run(service: SimulatedService, store: DirectoryStateStore) -> Verdict:
    return await Controller(CANARY, ports_of(service, store)).run()
