"""Fixtures of the telemetry tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.otlp import Collector, running_collector
from tests.support.pod_monitor import read_pod_monitor
from tests.support.redis_servers import RedisServer, running_redis


@pytest.fixture(scope="module")
def shared_redis(
    redis_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A Redis for all tests of a module."""
    with running_redis(redis_binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Takes the spans of one test."""
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def pod_monitor() -> dict[str, Any]:
    return read_pod_monitor()
