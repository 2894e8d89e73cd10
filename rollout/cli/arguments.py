"""Command-line arguments that several subcommands share, and the plan that they select."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys

from pydantic_core import PydanticCustomError

from ..manifests.field_types import parse_duration
from ..plan.loading import LoadedPlan, load_plan
from ..rehearsal.request_mix import RepeatedRequest, RequestInvalid


def parse_seconds(text: str) -> float:
    """Parse ``90s``, ``1m30s`` or ``250ms``."""
    try:
        return parse_duration(text).total_seconds()
    except PydanticCustomError as error:
        context = error.context or {}
        raise argparse.ArgumentTypeError(f"{context['what']}; {context['remedy']}") from None


def parse_rate(text: str) -> float:
    """Parse requests per second; 0 means no requests."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f'"{text}" is no rate: 0 to 10000 requests per second')
    return value


def parse_variable(text: str) -> tuple[str, str]:
    """Parse ``NAME=value``."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f'"{text}" is no variable: write it as NAME=value')
    return name, value


def parse_command(text: str) -> tuple[str, ...]:
    """Split a command line like a shell."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is no command: {error}') from None
    if not words:
        raise argparse.ArgumentTypeError("the command is empty")
    return words


def parse_request(text: str) -> RepeatedRequest:
    """Parse ``GET /path``, the request that a rehearsal repeats."""
    try:
        return RepeatedRequest.parse(text)
    except RequestInvalid as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_pod_count(text: str) -> int:
    """Parse a number of pods."""
    if not text.isdecimal() or not 1 <= int(text) <= 20:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of pods: 1 to 20')
    return int(text)


def parse_port(text: str) -> int:
    """Parse a port; 0 means a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port: 0 to 65535')
    return int(text)


def parse_address(text: str) -> tuple[str, int]:
    """Parse ``[HOST:]PORT``; the host is this machine's loopback address if none is named."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", parse_port(port)


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan and its prerequisites; ``load_plan_of`` uses them."""
    parser.add_argument(
        "plan", metavar="PLAN", help="a directory such as istio/canary, or the plan.yaml in it"
    )
    parser.add_argument(
        "--given",
        dest="prerequisites",
        metavar="DIR|FILE",
        action="append",
        default=[],
        help="manifests of what is in the cluster before the rollout (repeatable; default:"
        " prerequisites of plan.yaml)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of objects that name none (default: default)",
    )


async def load_plan_of(arguments: argparse.Namespace) -> LoadedPlan:
    """Load the plan and print its warnings to stderr; raise PlanInvalid or CouldNotRun."""
    loaded = await asyncio.to_thread(
        load_plan,
        arguments.plan,
        prerequisites=arguments.prerequisites,
        namespace=arguments.namespace,
    )
    for warning in loaded.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return loaded
