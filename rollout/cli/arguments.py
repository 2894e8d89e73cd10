"""Command-line arguments that several subcommands share, and the plan and state they select."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from lightkube import AsyncClient
from pydantic_core import PydanticCustomError

from ..cluster.config_map_state import ConfigMapStateStore
from ..cluster.kubeconfig import open_client
from ..manifests.field_types import parse_duration
from ..plan.loading import LoadedPlan, load_plan
from ..plan.model import Plan
from ..rehearsal.request_mix import RepeatedRequest, RequestInvalid
from ..runner.directory_state_store import DirectoryStateStore
from ..runner.state_store import StateStore

_CONFIG_MAP: Final = "configmap"
_STATE_DIRECTORY: Final = Path(".tallykv-rollout")


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


def add_state_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the cluster and the state store; ``open_state_store`` uses them."""
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: the file that kubectl would use"
    )
    parser.add_argument("--context", metavar="NAME", help="default: current context of the file")
    parser.add_argument(
        "--state",
        metavar="DIR|configmap",
        help="where the rollout's state is saved: a directory, or a ConfigMap in the cluster, which"
        f" other machines can use too (default: {_STATE_DIRECTORY}/NAMESPACE-NAME)",
    )


@contextlib.asynccontextmanager
async def open_state_store(
    arguments: argparse.Namespace, plan: Plan, client: AsyncClient | None = None
) -> AsyncIterator[StateStore]:
    """Open the state store that the arguments select.

    A ConfigMap is read with ``client``, or else with a new client of the selected cluster. Raise
    TargetFailed if that cluster's configuration can't be found.
    """
    if arguments.state != _CONFIG_MAP:
        default = _STATE_DIRECTORY / f"{plan.namespace}-{plan.virtual_service}"
        yield DirectoryStateStore(Path(arguments.state) if arguments.state else default)
        return
    async with contextlib.AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(
                open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
            )
        yield ConfigMapStateStore(client, plan.namespace, plan.virtual_service)
