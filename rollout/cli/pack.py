"""The subcommand ``pack``: a plan as one ConfigMap, for a runner in the cluster."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from ..plan.packing import pack_plan
from ..plan.plan_file import NAME as PLAN_FILE
from .arguments import add_plan_arguments, load_plan_of
from .exit_codes import UsageError, run_command

NAME: Final = "pack"
#: Kubernetes takes no larger ConfigMap, with some room for its metadata.
_MAX_BYTES: Final = 1_000_000
_EPILOG: Final = """\
A pod has neither the directories nor kustomize. This command builds them here, checks the plan as
run does, and prints a ConfigMap. Mounted as a directory, it is the same plan. It leaves out what
Secrets and ConfigMaps contain.

  tallykv-rollout pack istio/canary --name rollout-plan | kubectl --namespace kv apply -f -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    parser.add_argument(
        "--name",
        default="rollout-plan",
        metavar="NAME",
        help="name of the ConfigMap (default: rollout-plan); its namespace is that of the routes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the ConfigMap; return the exit code."""
    return run_command(NAME, _run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    loaded = await load_plan_of(arguments)
    packed = pack_plan(loaded, await asyncio.to_thread(_written_plan, Path(arguments.plan)))
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": arguments.name, "namespace": loaded.plan.namespace},
        "data": packed,
    }
    text = yaml.safe_dump(document, sort_keys=False)
    if len(text.encode()) > _MAX_BYTES:
        raise UsageError(
            f"the plan has {len(text.encode()):,} bytes, and a ConfigMap holds {_MAX_BYTES:,}: give"
            " fewer prerequisites with --given"
        )
    sys.stdout.write(text)
    return 0


def _written_plan(path: Path) -> dict[str, Any]:
    """Return the plan file, which has been validated, empty if there is none."""
    file = path / PLAN_FILE if path.is_dir() else path
    return (yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None) or {}
