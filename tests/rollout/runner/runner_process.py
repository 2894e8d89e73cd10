"""Runs of a rollout, to be killed: each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Final

from rollout.runner.controller import Controller
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.event_recorder import EventRecorder
from tests.rollout.runner.simulated_service import Killer, SimulatedService, plan_of

SHARES: Final = (0.0, 0.1, 0.5, 1.0)


def run_rollout(directory: Path, errors: float, kill_at: int | None) -> None:
    """Run to the verdict and write it to ``result.json``, or to the moment of the kill."""
    killer = Killer(kill_at)
    service = SimulatedService(directory / "service.json", errors={"canary": errors}, killer=killer)
    plan = plan_of(*SHARES, step_seconds=20)
    ports = service.ports(DirectoryStateStore(directory / "state"))
    ports = replace(ports, recorder=EventRecorder(plan, ports.store, ports.clock, []))
    verdict = asyncio.run(Controller(plan, ports).run())
    result = {"verdict": verdict.value, "changes": killer.changes, "moments": killer.passed}
    (directory / "result.json").write_text(json.dumps(result))


def main() -> None:
    """Read a directory, an error ratio and the moment of the kill from each line; fork a run.

    Print its exit code, negative for a signal, when it has ended.
    """
    for line in sys.stdin:
        directory, errors, kill_at = json.loads(line)
        if (pid := os.fork()) == 0:
            try:
                run_rollout(Path(directory), errors, kill_at)
            except BaseException:  # noqa: BLE001 - the process ends here
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
