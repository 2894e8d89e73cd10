"""Requests that began under the weights of the step before are no mismatch with the next one's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rollout.evidence.counts import CounterSnapshot
from rollout.plan.model import Step
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.simulated_service import SimulatedService, plan_of

#: Between a request and its answer.
LATE_SECONDS = 20


@dataclass
class AnswersLate(SimulatedService):
    """Counts a request when it is answered, by the weights of when it began."""

    #: Each step's beginning, and its share.
    shares: list[tuple[float, float]] = field(default_factory=list)
    #: Of its share of the requests, the canary gets so much.
    part: float = 1.0
    read_before: float = 0.0

    async def apply(self, step: Step) -> None:
        await super().apply(step)
        self.shares.append((self.read_file()["now"], (step.share or 0.0) * self.part))

    async def sleep(self, seconds: float) -> None:
        file = self.read_file()
        began = file["now"] - LATE_SECONDS
        file["share"] = next(
            (share for since, share in reversed(self.shares) if since <= began), 0.0
        )
        self._write(file)
        await super().sleep(seconds)

    async def read(self) -> CounterSnapshot:
        snapshot = await super().read()
        oldest = self.read_before - LATE_SECONDS
        self.read_before = snapshot.at
        return replace(snapshot, oldest=oldest)


async def test_late_answers_hold_no_step(store: DirectoryStateStore) -> None:
    service = AnswersLate()
    plan = plan_of(0.0, 0.1, 0.5, 1.0)

    assert await Controller(plan, service.ports(store)).run() is Verdict.PROMOTED

    assert "hold mismatch" not in service.recorded
    assert service.history == ["0", "1", "2", "3"]


async def test_weights_that_do_not_hold_are_still_found(store: DirectoryStateStore) -> None:
    service = AnswersLate(part=0.5)
    plan = plan_of(0.0, 0.5, 1.0, deadline_seconds=600)

    await Controller(plan, service.ports(store)).run()

    assert "hold mismatch" in service.recorded
