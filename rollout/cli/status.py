"""The subcommand ``status``: shows the saved state of a rollout, as text or JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Final

from ..plan.model import Plan
from ..report.formats import duration, percent
from ..runner.event_recorder import e_values_of, thresholds_of
from ..runner.rollout_state import RolloutState
from ..runner.state_store import ControlCommand
from .arguments import add_plan_arguments, add_state_arguments, load_plan_of, open_state_store
from .exit_codes import ERROR, run_command

NAME: Final = "status"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_plan_arguments(parser)
    add_state_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; return 0, or 2 if there is no saved state."""
    return run_command(NAME, _print_status(arguments))


async def _print_status(arguments: argparse.Namespace) -> int:
    plan = (await load_plan_of(arguments)).plan
    async with open_state_store(arguments, plan) as store:
        saved = await store.load()
        pending = await store.pending_command()
    if saved is None:
        sys.stderr.write(
            f"there is no saved state of a rollout of {plan.name};"
            " start it with run, or say with --state where its state is\n"
        )
        return ERROR
    state = RolloutState.load(plan, saved)
    status = describe(plan, state, None if pending is None else pending.command, time.time())
    sys.stdout.write(
        json.dumps(status, indent=2) + "\n" if arguments.format == "json" else _render_text(status)
    )
    return 0


def describe(
    plan: Plan, state: RolloutState, pending: ControlCommand | None, now: float
) -> dict[str, Any]:
    """Return the status for JSON; durations in seconds, ``now`` is Unix time."""
    step = plan.steps[max(state.step, 0)]
    values, needed = e_values_of(state.evidence), thresholds_of(plan.objective)
    return {
        "rollout": plan.name,
        "verdict": state.verdict if state.ended else None,
        "reason": state.reason,
        "step": step.name,
        "going_to": None if state.intended == state.step else plan.steps[state.intended].name,
        "share": step.share,
        "step_seconds": now - state.step_since,
        "seconds": now - state.since,
        "paused": state.paused,
        "order": None if pending is None else pending.value,
        "requests": {
            "stable": state.evidence.stable.requests,
            "canary": state.evidence.canary.requests,
        },
        "failures": {
            "stable": state.evidence.stable.failures,
            "canary": state.evidence.canary.failures,
        },
        "evidence": {
            kind: {"value": getattr(values, kind), "needed": getattr(needed, kind)}
            for kind in ("harm", "merit", "breach", "mismatch")
        },
    }


def _render_text(status: dict[str, Any]) -> str:
    share = "" if status["share"] is None else f", {percent(status['share'])} to the canary"
    lines = [
        f"{status['rollout']}: {status['verdict'] or ('paused' if status['paused'] else 'running')}"
        + (f" ({status['reason']})" if status["verdict"] and status["reason"] else ""),
        f"  step {status['step']}{share}, for {duration(status['step_seconds'])}",
    ]
    if status["going_to"]:
        lines.append(f"  changing to step {status['going_to']}")
    if status["order"]:
        lines.append(f"  pending command: {status['order']}")
    lines += [
        f"  {track}: {status['requests'][track]} requests, {status['failures'][track]} failed"
        for track in ("stable", "canary")
    ]
    lines += [
        f"  {kind}: {each['value']:.3g}/{each['needed']:.4g}"
        for kind, each in status["evidence"].items()
    ]
    return "\n".join(lines).replace("\u00a0", " ") + "\n"
