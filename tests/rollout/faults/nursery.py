"""Forks ``tallykv-rollout run`` for each line of stdin, when all is imported and linted."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from typing import Any

import rollout.cli.run
from rollout.__main__ import main
from rollout.plan.loading import LoadedPlan, load_plan


def _run(question: dict[str, Any]) -> int:
    out = os.open(question["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    return main(question["start"])


def serve(plan: str) -> None:
    """Answer a start with the pid, and a poll with the exit code (negative for a signal)."""
    loaded = load_plan(plan)

    async def load_plan_of(arguments: argparse.Namespace) -> LoadedPlan:
        return loaded

    rollout.cli.run.load_plan_of = load_plan_of  # type: ignore[attr-defined]
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            answer = os.fork()
            if answer == 0:
                try:
                    code = _run(question)
                except BaseException:  # noqa: BLE001 - the process ends here
                    traceback.print_exc()
                    os._exit(99)
                os._exit(code)
        else:
            pid, status = os.waitpid(question["poll"], os.WNOHANG)
            answer = "running" if pid == 0 else os.waitstatus_to_exitcode(status)  # type: ignore[assignment]
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
