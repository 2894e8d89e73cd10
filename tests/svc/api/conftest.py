"""Fixtures of the HTTP contract's tests: a client of one pod, or of two pods over one store."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from svc.settings import Settings
from tests.conftest import Backend
from tests.support.services import Service, running_service
from tests.svc.api.client import Api


@pytest.fixture
async def service(backend: Backend) -> AsyncIterator[Service]:
    """A service over each backend in turn, with an empty store and a long timeout.

    Timeouts are tested in tests/svc/faults. Here they would only make tests fail at random.
    """
    backend.flush()
    settings = Settings(
        store_url=backend.url,
        pod="pod-1",
        version="1.2.3",
        track="canary",
        store_timeout_ms=30_000,
    )
    async with running_service(settings) as running:
        yield running


@pytest.fixture
def api(service: Service) -> Api:
    return Api(service)


@pytest.fixture
async def pods(api: Api) -> AsyncIterator[tuple[Api, Api]]:
    """Two services over one Redis, as in a rollout."""
    settings = dataclasses.replace(api.service.settings, pod="pod-2", track="stable")
    async with running_service(settings) as other:
        yield api, Api(other)
