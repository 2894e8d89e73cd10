"""One run of a rollout, to be killed: the body of a process of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

from rollout.runner.controller import Controller
from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.simulated_service import Killer, SimulatedService, plan_of

SHARES: Final = (0.0, 0.1, 0.5, 1.0)


def run_rollout(directory: Path, errors: float, kill_at: int | None) -> None:
    """Run to the verdict and write it to ``result.json``, or to the moment of the kill."""
    killer = Killer(kill_at)
    service = SimulatedService(directory / "service.json", errors={"canary": errors}, killer=killer)
    plan = plan_of(*SHARES, step_seconds=20)
    ports = service.ports(DirectoryStateStore(directory / "state"))
    verdict = asyncio.run(Controller(plan, ports).run())
    result = {"verdict": verdict.value, "changes": killer.changes}
    (directory / "result.json").write_text(json.dumps(result))
