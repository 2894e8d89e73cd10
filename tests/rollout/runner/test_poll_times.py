"""How often the counters are read: as the plan says, and more often while the canary is suspect."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from rollout.evidence.counts import CounterSnapshot
from rollout.runner.controller import Controller
from rollout.runner.decision_maker import SUSPECT_READINGS
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.simulated_service import SimulatedService, plan_of

PLAN = plan_of(0.0, 0.1, 1.0, step_seconds=60)


class Timed(SimulatedService):
    """Notes, for each reading, when it was and at which step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.readings = list[tuple[float, str]]()

    async def read(self) -> CounterSnapshot:
        file = self.read_file()
        self.readings.append((file["now"], file["step"]))
        return await super().read()

    def waits(self) -> list[float]:
        """Return the times between two readings at the step with both releases."""
        return [
            round(end - begin, 3)
            for (begin, step), (end, next_step) in pairwise(self.readings)
            if step == next_step == "1" and end > begin
        ]


async def test_a_canary_that_fails_more_is_looked_at_more_often_until_it_is_out(
    tmp_path: Path,
) -> None:
    service = Timed(errors={"canary": 0.05})
    store = DirectoryStateStore(tmp_path)

    assert await Controller(PLAN, service.ports(store)).run() is Verdict.ROLLED_BACK

    waits = service.waits()
    assert waits[0] == PLAN.poll_seconds
    assert waits[-1] == PLAN.poll_seconds / SUSPECT_READINGS
    assert set(waits) == {waits[0], waits[-1]}


async def test_a_harmless_one_is_looked_at_as_often_as_the_plan_says(tmp_path: Path) -> None:
    service = Timed()
    store = DirectoryStateStore(tmp_path)

    assert await Controller(PLAN, service.ports(store)).run() is Verdict.PROMOTED

    assert set(service.waits()) == {PLAN.poll_seconds}
