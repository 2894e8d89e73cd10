"""Fixtures of the telemetry tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from svc.settings import Settings
from tests.support.instrumented_service import (
    Serve,
    instrumented_service,
    instrumented_service_with_tracing,
)
from tests.support.otlp import Collector, running_collector
from tests.support.redis_servers import RedisServer


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP collector for one test."""
    with running_collector() as collector:
        yield collector


@pytest.fixture
def observed(shared_redis: RedisServer) -> Serve:
    """Return a function that serves in this process with the given settings, without tracing."""

    # A busy machine must not turn answers into timeouts.
    default: dict[str, Any] = {"store_url": shared_redis.url, "store_timeout_ms": 30_000}

    def serve(**settings: Any) -> Any:
        return instrumented_service(Settings(**{**default, **settings}))

    return serve


@pytest.fixture
def traced(
    shared_redis: RedisServer, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Serve:
    """Like ``observed``, with tracing. At the end of the block the collector has every span.

    ``ratio`` of the requests are sampled, and those with a sampled parent.
    """

    default: dict[str, Any] = {"store_url": shared_redis.url, "store_timeout_ms": 30_000}

    def serve(ratio: float = 0.0, **settings: Any) -> Any:
        chosen = Settings(**{**default, **settings})
        return instrumented_service_with_tracing(chosen, collector, monkeypatch, ratio=ratio)

    return serve
