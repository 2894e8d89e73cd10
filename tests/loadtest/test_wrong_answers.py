"""Every kind of wrong answer is found, and a right service passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from svc.settings import Settings
from tests.loadtest.faulty_proxy import FAULTS, running_proxy
from tests.loadtest.runs import Outcome, run_load, thresholds
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service


@pytest.fixture
async def right_service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, store_timeout_ms=30_000)
    async with running_service(settings) as running:
        yield running


async def load(service: Service, directory: Path, *, faulty: bool, run_time: str = "2s") -> Outcome:
    """Load the service through the proxy. With few keys, each is written and read often."""
    async with running_proxy(service, faulty=faulty) as host:
        return await run_load(
            directory,
            *("--host", host, "--users", "20", "--run-time", run_time, *thresholds(directory)),
            *("--", "--keys", "5", "--user-rate", "30"),
        )


async def test_a_right_service_passes(right_service: Service, tmp_path: Path) -> None:
    outcome = await load(right_service, tmp_path, faulty=False)

    assert outcome.code == 0, outcome.output
    assert outcome.wrong == 0
    assert outcome.failures == set()


async def test_every_fault_is_found_and_fails_the_run(
    right_service: Service, tmp_path: Path
) -> None:
    expected = {f"WrongAnswer('{message}')" for message in FAULTS.values()}

    # On a busy machine a short run may have too few requests to meet each fault.
    for run_time in ("2s", "15s", "60s"):
        outcome = await load(right_service, tmp_path, faulty=True, run_time=run_time)

        assert outcome.code == 1, outcome.output
        assert outcome.wrong > 0
        if expected <= outcome.failures:
            break
    assert expected <= outcome.failures
