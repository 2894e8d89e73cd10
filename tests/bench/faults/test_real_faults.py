"""Faults for real, in a short form: what must not be lost is not, and what is lost is counted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.consistency.workload import Workload
from bench.faults.catalogue import FAULTS
from bench.faults.experiment import Episode, play
from bench.faults.scenes import Fault, Ground, Scene
from bench.testbed.restartable import running_redis, running_services
from tests.conftest import need_redis_7
from tests.support.processes import children_of


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    need_redis_7()
    return Ground(directory=tmp_path, before_seconds=0.5, fault_seconds=1.0, after_seconds=1.5)


async def played(fault: Fault, ground: Ground) -> Episode:
    """Play it, and see that it leaves no process behind."""
    before = set(children_of(os.getpid()))

    episode = await play(fault, ground)

    assert set(children_of(os.getpid())) <= before
    return episode


@pytest.mark.parametrize("name", ["service-kill", "redis-kill-always", "network-cut"])
async def test_nothing_is_lost_doubled_crossed_or_torn(name: str, ground: Ground) -> None:
    verdict = (await played(FAULTS[name], ground)).verdict

    assert verdict.acknowledged > 100
    assert verdict.reasons == []
    assert (verdict.lost, verdict.duplicated, verdict.crossed, verdict.torn) == (0, 0, 0, 0)


async def test_a_redis_that_keeps_nothing_is_caught(ground: Ground) -> None:
    @contextlib.asynccontextmanager
    async def forgetful(ground: Ground) -> AsyncIterator[Scene]:
        async with (
            running_redis(ground.directory) as redis,
            running_services(ground.directory, redis.url) as services,
        ):

            async def strike(_: Workload) -> None:
                redis.kill()
                await redis.start()

            yield Scene(services, strike)

    fault = Fault(name="forgetful", title="Redis without a file", scene=forgetful)

    verdict = (await played(fault, ground)).verdict

    assert verdict.lost > 0
    assert verdict.crossed == 0


async def test_a_service_that_answers_before_it_writes_is_caught(ground: Ground) -> None:
    """Increments are taken back behind the service's back, as if they had never been written."""

    @contextlib.asynccontextmanager
    async def undone(ground: Ground) -> AsyncIterator[Scene]:
        async with (
            running_redis(ground.directory) as redis,
            running_services(ground.directory, redis.url) as services,
        ):

            async def strike(_: Workload) -> None:
                names = await redis.ask("KEYS", "*plain*")
                assert names
                await asyncio.gather(*(redis.ask("DECRBY", name, 3) for name in names))

            yield Scene(services, strike)

    fault = Fault(name="undone", title="steps taken back", scene=undone)

    verdict = (await played(fault, ground)).verdict

    # Six, but for unknown steps of a busy machine that stand in for them.
    assert 0 < verdict.lost <= 6
    assert verdict.torn == 2
