"""A service that lies is caught, whatever the lie; one that doesn't is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from svc.settings import Settings
from tests.loadtest.liar import LIES, lying
from tests.loadtest.runs import Outcome, run_load, thresholds
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service


@pytest.fixture
async def right_service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, store_timeout_ms=5000)
    async with running_service(settings) as running:
        yield running


async def load(service: Service, directory: Path, *, honest: bool) -> Outcome:
    """Load the service through a proxy; few keys, so that each is written and read often."""
    async with lying(service, honest=honest) as host:
        return await run_load(
            directory,
            *("--host", host, "--users", "20", "--run-time", "2s", *thresholds(directory)),
            *("--", "--keys", "5", "--user-rate", "30"),
        )


async def test_a_service_that_tells_the_truth_passes(
    right_service: Service, tmp_path: Path
) -> None:
    outcome = await load(right_service, tmp_path, honest=True)

    assert outcome.code == 0, outcome.output
    assert outcome.wrong == 0
    assert outcome.failures == set()


async def test_every_lie_is_noticed_and_fails_the_run(
    right_service: Service, tmp_path: Path
) -> None:
    outcome = await load(right_service, tmp_path, honest=False)

    assert outcome.code == 1, outcome.output
    assert outcome.wrong > 0
    assert {f"WrongAnswer('{noticed}')" for noticed in LIES.values()} <= outcome.failures
