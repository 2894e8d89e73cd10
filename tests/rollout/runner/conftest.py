"""A simulated service, and a directory for a runner's state."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.simulated_service import SimulatedService


@pytest.fixture
def service() -> SimulatedService:
    return SimulatedService()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStateStore:
    return DirectoryStateStore(tmp_path / "state")
