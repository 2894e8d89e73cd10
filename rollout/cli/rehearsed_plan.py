"""The plan that ``rehearse`` runs: a directory's own steps, or steps derived from its manifests."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Mapping
from typing import Final

from ..evidence.counts import BOTH, Arm
from ..plan.derived_plan import (
    has_plan_layout,
    load_controlled_plan,
    load_derived_plan,
    releases_in,
)
from ..plan.loading import LoadedPlan
from .arguments import load_plan_of, parse_command
from .exit_codes import UsageError

Commands = Mapping[Arm, tuple[str, ...]]
_ARMS: Final = BOTH


def add_release_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the releases and their commands; ``load_rehearsed`` uses them."""
    add = parser.add_argument
    for arm in _ARMS:
        add(
            f"--{arm}",
            metavar="NAME",
            type=parse_command,
            help=f"the {arm} release: a subset or a Service of the manifests in the directory,"
            " which needs no steps then",
        )
        add(
            f"--{arm}-command",
            metavar="COMMAND",
            type=parse_command,
            help=f"command that starts the {arm} release and listens on $PORT (default: this"
            " tallykv)",
        )
    add(
        "--route",
        "--virtual-service",
        metavar="NAME",
        help="the VirtualService, HTTPRoute or GRPCRoute to change, if several have a route to"
        " both releases",
    )


async def load_rehearsed(arguments: argparse.Namespace) -> tuple[LoadedPlan, Commands]:
    """Load the plan and the releases' commands; raise PlanInvalid, CouldNotRun or UsageError.

    Earlier versions took the commands in --stable and --canary. A value that names no subset and
    no Service is still taken as one, with a warning.
    """
    names = {arm: each for arm in _ARMS if (each := getattr(arguments, arm.value))}
    commands = {arm: each for arm in _ARMS if (each := getattr(arguments, f"{arm}_command"))}
    if Arm.STABLE in commands:
        commands[Arm.BASELINE] = commands[Arm.STABLE]
    if names and not has_plan_layout(arguments.plan):
        if missing := [arm for arm in _ARMS if arm not in names]:
            raise UsageError(f"--{missing[0]} is missing; name both releases")
        stable, canary = (shlex.join(names[arm]) for arm in _ARMS)
        loaded = await asyncio.to_thread(
            load_derived_plan,
            arguments.plan,
            stable=stable,
            canary=canary,
            route=arguments.route,
            prerequisites=arguments.prerequisites,
            namespace=arguments.namespace,
        )
        return loaded, commands
    if not names and not has_plan_layout(arguments.plan):
        controlled = await asyncio.to_thread(
            load_controlled_plan,
            arguments.plan,
            prerequisites=arguments.prerequisites,
            namespace=arguments.namespace,
        )
        if controlled:
            for each in controlled.warnings:
                sys.stderr.write(f"note: {each}\n")
            return controlled, commands
    if arguments.route:
        raise UsageError("--route: the plan's steps have their routes")
    loaded = await load_plan_of(arguments)
    known = releases_in(loaded.resources)
    own = {Arm.STABLE: loaded.plan.stable, Arm.CANARY: loaded.plan.canary}
    for arm, words in names.items():
        if (text := shlex.join(words)) not in known:
            sys.stderr.write(
                f"warning: --{arm} takes the name of a subset or a Service;"
                f" give the command with --{arm}-command\n"
            )
            commands.setdefault(arm, words)
        elif text != own[arm]:
            raise UsageError(
                f"--{arm} {text}: the directory has a plan, whose {arm} release is {own[arm]};"
                " change it in plan.yaml"
            )
    return loaded, commands
