"""The subcommand ``status``: a rollout's saved state, its runner and its live routes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..cluster.api_client import ApiClient, ApiError
from ..cluster.kubeconfig import open_client
from ..cluster.lease_object import Holder, read_holder
from ..cluster.live_weights import (
    CanaryWeight,
    describe_drift,
    read_all_weights,
    read_canary_weights,
)
from ..evidence import Evidence
from ..evidence.objective import Objective
from ..plan.releases import Releases
from ..report.formats import duration, percent
from ..runner.evidence_values import e_values_of, thresholds_of
from ..runner.ports import TargetFailed
from ..runner.reasons import describe_missing_requests
from ..runner.state_store import ControlCommand, PendingCommand, StateCorrupt, StateStore
from .exit_codes import ERROR, run_command
from .rollout_name import RolloutName, add_name_arguments, find_rollout
from .state_arguments import add_state_arguments, is_in_cluster, state_store

NAME: Final = "status"


@dataclass(frozen=True, slots=True)
class Live:
    """What the cluster has now: the runner that holds the rollout, and what the canary gets.

    ``unknown`` says why it could not be read.
    """

    holder: Holder | None = None
    weights: tuple[CanaryWeight, ...] = ()
    unknown: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_name_arguments(parser)
    add_state_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; return 0, or 2 if there is no saved state."""
    return run_command(NAME, _print_status(arguments))


async def _print_status(arguments: argparse.Namespace) -> int:
    rollout = find_rollout(arguments.rollout, arguments.namespace)
    async with contextlib.AsyncExitStack() as stack:
        client, unknown = None, ""
        try:
            client = await stack.enter_async_context(
                open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
            )
        except TargetFailed as failed:
            if is_in_cluster(arguments):
                raise
            unknown = str(failed)
        store = state_store(arguments, rollout, client)
        saved, pending = await asyncio.gather(store.load(), _pending(store))
        if saved is None:
            sys.stderr.write(
                f"there is no saved state of a rollout of {rollout}; start it with run, or say with"
                " --state where its state is\n"
            )
            return ERROR
        live = Live(unknown=unknown)
        if client is not None:
            api = ApiClient(client, rollout.namespace, retry_seconds=1, backoff_seconds=0.2)
            live = await _read_live(api, rollout, saved["plan"])
    status = describe(saved, None if pending is None else pending.command, live)
    sys.stdout.write(
        json.dumps(status, indent=2) + "\n" if arguments.format == "json" else _render_text(status)
    )
    return 0


async def _pending(store: StateStore) -> PendingCommand | None:
    with contextlib.suppress(StateCorrupt):
        return await store.pending_command()
    return None


async def _read_live(api: ApiClient, rollout: RolloutName, plan: Mapping[str, Any]) -> Live:
    releases = Releases(plan["stable"], plan["canary"], rollout.namespace)
    if "objects" in plan:
        reading = read_all_weights(api, plan["objects"], releases)
    else:
        reading = read_canary_weights(api, rollout.name, releases)
    try:
        holder, weights = await asyncio.gather(read_holder(api, rollout.name), reading)
    except ApiError as error:
        return Live(unknown=str(error))
    return Live(holder, weights)


def describe(
    saved: Mapping[str, Any], pending: ControlCommand | None, live: Live
) -> dict[str, Any]:
    """Return the status for JSON; durations in seconds, up to when the state was saved."""
    plan = saved["plan"]
    name, share = plan["steps"][saved["intended"] if saved["step"] < 0 else saved["step"]]
    intended = plan["steps"][saved["intended"]][0]
    now = saved.get("seen_at") or saved["step_since"]
    fields = saved["evidence"]["objective"]
    objective = Objective(**{**fields, "slow_seconds": tuple(fields["slow_seconds"])})
    evidence = Evidence.load(objective, saved["evidence"])
    missing, rate = evidence.requests_needed, saved.get("canary_rate", 0.0)
    values, needed = e_values_of(evidence), thresholds_of(objective)
    expected = None if saved["step"] != saved["intended"] else share
    return {
        "rollout": plan["name"],
        "verdict": saved["verdict"] if saved["ended"] else None,
        "reason": saved["reason"],
        "step": name,
        "going_to": None if saved["intended"] == saved["step"] else intended,
        "share": share,
        "step_seconds": max(0.0, now - saved["step_since"]),
        "seconds": max(0.0, now - saved["since"]),
        "paused": saved["paused"],
        "held": saved.get("held", ""),
        "order": None if pending is None else pending.value,
        "runner": None
        if live.holder is None
        else {"holder": live.holder.name, "seen_seconds": live.holder.seconds},
        "live": [{"path": each.place, "percent": each.percent} for each in live.weights],
        "live_unknown": live.unknown,
        "drift": describe_drift(list(live.weights), name, expected),
        "requests": {
            "stable": evidence.stable.requests,
            "canary": evidence.canary.requests,
        },
        "failures": {
            "stable": evidence.stable.failures,
            "canary": evidence.canary.failures,
        },
        "evidence": {
            kind: {"value": getattr(values, kind), "needed": getattr(needed, kind)}
            for kind in ("harm", "merit", "breach", "mismatch")
        },
        "requests_needed": missing,
        "seconds_needed": missing / rate if missing is not None and rate else None,
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
    if status["held"] and not status["verdict"]:
        lines.append(f"  held: {status['held']}")
    if status["order"]:
        lines.append(f"  pending command: {status['order']}")
    lines += _live_lines(status)
    lines += [
        f"  {track}: {status['requests'][track]} requests, {status['failures'][track]} failed"
        for track in ("stable", "canary")
    ]
    lines += [
        f"  {kind}: {each['value']:.3g}/{each['needed']:.4g}"
        for kind, each in status["evidence"].items()
    ]
    missing, seconds = status["requests_needed"], status["seconds_needed"]
    if missing and not status["verdict"]:
        rate = missing / seconds if seconds else 0.0
        lines.append(f"  a proof {describe_missing_requests(missing, rate)}")
    return "\n".join(lines).replace("\u00a0", " ") + "\n"


def _live_lines(status: dict[str, Any]) -> list[str]:
    if status["live_unknown"]:
        return [f"  live routes: unknown ({status['live_unknown']})"]
    lines = []
    if status["runner"]:
        seen = duration(status["runner"]["seen_seconds"])
        lines.append(f"  runner: {status['runner']['holder']}, seen {seen} ago")
    elif not status["verdict"]:
        lines.append("  runner: none, so nobody watches; tallykv-rollout run continues")
    parts = {f"{each['percent']:.4g} %" for each in status["live"]}
    if parts:
        lines.append(f"  live routes: {', '.join(sorted(parts))} to the canary")
    if status["drift"]:
        lines.append(f"  DRIFT: {status['drift']}")
    return lines
