"""One runner in its own process: ``python -m … SERVICE STATE ERRORS [KILL_AT]``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

from rollout.runner.controller import Controller
from rollout.runner.directory_state_store import DirectoryStateStore
from tests.rollout.runner.simulated_service import Killer, SimulatedService, plan_of

SHARES: Final = (0.0, 0.1, 0.5, 1.0)


def main() -> None:
    """Run to the verdict, or to the moment of the kill; print it."""
    file, state, errors, *kill_at = sys.argv[1:]
    killer = Killer(int(kill_at[0]) if kill_at else None)
    service = SimulatedService(Path(file), errors={"canary": float(errors)}, killer=killer)
    plan = plan_of(*SHARES, step_seconds=20)
    ports = service.ports(DirectoryStateStore(Path(state)))
    verdict = asyncio.run(Controller(plan, ports).run())
    print(json.dumps({"verdict": verdict.value, "changes": killer.changes}))  # noqa: T201


if __name__ == "__main__":
    main()
