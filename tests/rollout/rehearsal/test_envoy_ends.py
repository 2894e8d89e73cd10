"""An Envoy that ends in the middle of a rehearsal."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rollout.rehearsal.errors import EnvoyAdminFailed
from tests.rollout.rehearsal.derived import rehearsed

pytestmark = pytest.mark.asyncio


async def test_an_error_says_how_it_ended(tmp_path: Path) -> None:
    async with rehearsed(tmp_path) as running:
        assert running.admin.process is not None
        os.kill(running.admin.process.pid, signal.SIGKILL)

        with pytest.raises(EnvoyAdminFailed, match=r"^Envoy ended with code -9: ."):
            await running.admin.stats("x")
