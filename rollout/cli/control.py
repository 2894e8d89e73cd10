"""The subcommands for a rollout that runs: ``status``, ``pause``, ``resume``, ``abort``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from ..plan.loading import load_plan
from ..plan.model import Plan
from ..report.formats import duration, percent
from ..runner.event_recorder import thresholds_of, values_of
from ..runner.state import Order
from ..runner.status import Standing
from .arguments import add_plan
from .exit_codes import ERROR, run_command
from .state_store import add_cluster, open_store


@dataclass(frozen=True, slots=True)
class OrderCommand:
    """Asks something of whoever runs the rollout."""

    NAME: str
    SUMMARY: str
    order: Order

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags."""
        add_plan(parser)
        add_cluster(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Give the order; return the exit code."""
        return run_command(self.NAME, self._give(arguments))

    async def _give(self, arguments: argparse.Namespace) -> int:
        plan = await _plan(arguments)
        async with open_store(arguments, plan) as store:
            kept = await store.load()
            if kept is None or kept["ended"]:
                sys.stderr.write(f"no rollout of {plan.name} runs; status says what is known\n")
                return ERROR
            await store.give_order(self.order)
        sys.stdout.write(
            f"{self.order.value} is asked of the runner; if none works on it,"
            " tallykv-rollout run carries it out\n"
        )
        return 0


PAUSE: Final = OrderCommand("pause", "stay at this step; still go back if it gets bad", Order.PAUSE)
RESUME: Final = OrderCommand("resume", "go on after a pause", Order.RESUME)
ABORT: Final = OrderCommand("abort", "go back to the stable release now", Order.ABORT)


@dataclass(frozen=True, slots=True)
class StatusCommand:
    """Says where a rollout stands."""

    NAME: str = "status"
    SUMMARY: str = "say where a rollout stands, and by which evidence"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags."""
        add_plan(parser)
        add_cluster(parser)
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, arguments: argparse.Namespace) -> int:
        """Print it; return 0, or 2 if nothing is known."""
        return run_command(self.NAME, self._say(arguments))

    async def _say(self, arguments: argparse.Namespace) -> int:
        plan = await _plan(arguments)
        async with open_store(arguments, plan) as store:
            kept = await store.load()
            given = await store.order()
        if kept is None:
            sys.stderr.write(f"nothing is known of a rollout of {plan.name}\n")
            return ERROR
        standing = Standing.load(plan, kept)
        status = describe(plan, standing, None if given is None else given.order, time.time())
        sys.stdout.write(
            json.dumps(status, indent=2) + "\n" if arguments.format == "json" else _text(status)
        )
        return 0


STATUS: Final = StatusCommand()


def describe(plan: Plan, standing: Standing, order: Order | None, now: float) -> dict[str, Any]:
    """Return what ``status`` says; times in seconds."""
    step = plan.steps[max(standing.step, 0)]
    values, needed = values_of(standing.evidence), thresholds_of(plan.objective)
    return {
        "rollout": plan.name,
        "verdict": standing.verdict if standing.ended else None,
        "reason": standing.reason,
        "step": step.name,
        "going_to": None
        if standing.intended == standing.step
        else plan.steps[standing.intended].name,
        "share": step.share,
        "step_seconds": now - standing.step_since,
        "seconds": now - standing.since,
        "paused": standing.paused,
        "order": None if order is None else order.value,
        "requests": {
            "stable": standing.evidence.stable.requests,
            "canary": standing.evidence.canary.requests,
        },
        "failures": {
            "stable": standing.evidence.stable.failures,
            "canary": standing.evidence.canary.failures,
        },
        "evidence": {
            kind: {"value": getattr(values, kind), "needed": getattr(needed, kind)}
            for kind in ("harm", "merit", "breach", "mismatch")
        },
    }


def _text(status: dict[str, Any]) -> str:
    share = "" if status["share"] is None else f", {percent(status['share'])} to the canary"
    lines = [
        f"{status['rollout']}: {status['verdict'] or ('paused' if status['paused'] else 'running')}"
        + (f" ({status['reason']})" if status["verdict"] and status["reason"] else ""),
        f"  step {status['step']}{share}, for {duration(status['step_seconds'])}",
    ]
    if status["going_to"]:
        lines.append(f"  on its way to step {status['going_to']}")
    if status["order"]:
        lines.append(f"  asked for and not yet done: {status['order']}")
    lines += [
        f"  {track}: {status['requests'][track]} requests, {status['failures'][track]} failed"
        for track in ("stable", "canary")
    ]
    lines += [
        f"  {kind}: {each['value']:.3g} of {each['needed']:.4g}"
        for kind, each in status["evidence"].items()
    ]
    return "\n".join(lines).replace("\u00a0", " ") + "\n"


async def _plan(arguments: argparse.Namespace) -> Plan:
    planned = await asyncio.to_thread(
        load_plan, arguments.plan, given=arguments.given, namespace=arguments.namespace
    )
    return planned.plan
