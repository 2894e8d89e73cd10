"""A simulated service, and a directory for a runner's state."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rollout.runner.failing_store import FailingStore
from tests.rollout.runner.simulated_service import SimulatedService


@pytest.fixture
def service() -> SimulatedService:
    return SimulatedService()


@pytest.fixture
def store(tmp_path: Path, service: SimulatedService) -> FailingStore:
    """Return the real store, which fails if a test says when."""
    return FailingStore(tmp_path / "state", service)
