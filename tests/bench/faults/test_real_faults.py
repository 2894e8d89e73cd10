"""Some faults in a short form: what must not be lost is not, and what is lost is counted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.consistency.workload import Workload
from bench.faults.experiment import Fault, Result, Sizes, Target, experiment
from bench.faults.injections import FAULTS
from bench.faults.injections.setups import System, on_redis
from bench.frame.cores import available_cores
from bench.frame.program import Run
from tests.conftest import need_redis_7
from tests.support.processes import children_of
from tests.support.waiting import eventually

BY_NAME = {fault.name: fault for fault in FAULTS}
#: Requests before a fault.
ENOUGH = 100


@pytest.fixture
def run(tmp_path: Path) -> Run[Sizes]:
    need_redis_7()
    sizes = Sizes(before_seconds=0.5, fault_seconds=1.0, after_seconds=1.5)
    return Run(sizes, tmp_path, available_cores())


async def inject(fault: Fault, run: Run[Sizes]) -> Result:
    """Inject the fault, and check that no process is left."""
    before = set(children_of(os.getpid()))

    @contextlib.asynccontextmanager
    async def setup_under_load(run: Run[Sizes]) -> AsyncIterator[Target]:
        async with fault.setup(run) as target:

            async def inject_later(workload: Workload) -> None:
                # However long a busy machine takes to answer so many requests.
                outcomes = workload.history.outcomes
                await eventually(lambda: outcomes["acknowledged"] > ENOUGH, what="requests")
                await target.inject(workload)

            yield replace(target, inject=inject_later)

    result = await experiment(replace(fault, setup=setup_under_load), run)

    assert set(children_of(os.getpid())) <= before
    return result


@pytest.mark.parametrize("name", ["service-kill", "redis-kill-always", "network-cut"])
async def test_there_are_no_violations(name: str, run: Run[Sizes]) -> None:
    verdict = (await inject(BY_NAME[name], run)).verdict

    assert verdict.reasons == []
    assert verdict.violations == 0


async def test_a_redis_without_persistence_is_caught(run: Run[Sizes]) -> None:
    async def forget(system: System, _: Workload) -> None:
        system.redis.kill()
        await asyncio.to_thread(system.redis.start_ready)

    fault = Fault("forgetful", "Redis without a file", on_redis(forget))

    verdict = (await inject(fault, run)).verdict

    assert verdict.lost > 0
    assert verdict.unexpected == 0


async def test_a_service_that_answers_before_it_writes_is_caught(run: Run[Sizes]) -> None:
    """Increments are taken back in Redis, as if they had never been written."""

    async def undo(system: System, _: Workload) -> None:
        async def both() -> Sequence[str]:
            names: Sequence[str] = await system.redis.execute("KEYS", "*plain*")
            return names if len(names) == 2 else ()

        names = await eventually(both, what="increments of both counters")
        await asyncio.gather(*(system.redis.execute("DECRBY", name, 3) for name in names))

    fault = Fault("undone", "increments taken back", on_redis(undo))

    verdict = (await inject(fault, run)).verdict

    # Six, less the unknown increments on a busy machine that compensate for them.
    assert 0 < verdict.lost <= 6
    assert verdict.nonlinearizable == 2
