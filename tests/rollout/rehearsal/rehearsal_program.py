"""Runs a rehearsal of the manifests on stdin until it is stopped; prints its child processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import replace

from rollout.plan.model import Strategy
from rollout.rehearsal.rehearsal import rehearsing
from tests.rollout.rehearsal.plans import TALLYKV, plan_of, step_of
from tests.support.processes import children_of


async def main() -> None:
    options = replace(TALLYKV, rate=20, prometheus=True)
    documents, routes = json.load(sys.stdin)
    plan = plan_of(Strategy.CANARY, "stable", "canary", [step_of(routes)])
    async with rehearsing(documents, plan, options) as running:
        started = {"children": children_of(os.getpid()), "directory": str(running.directory)}
        sys.stdout.write(f"{json.dumps(started)}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
