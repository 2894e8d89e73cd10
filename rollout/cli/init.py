"""The subcommand ``init``: a first plan from manifests, or from what runs in the cluster."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

import yaml

from ..cluster.live_objects import read_live
from ..lint.kustomize import CouldNotRun
from ..lint.resource_parser import ManifestText, ResourceParser
from ..lint.schemas import Schemas
from ..lint.sources import collect
from ..plan.derived_plan import load_controlled_plan
from ..plan.loading import load_plan, resources_of
from ..plan.new_plan import NewPlan, plan_for_deployment, plan_of_controller
from .cluster_arguments import add_cluster_arguments, open_cluster
from .exit_codes import UsageError, run_command

NAME: Final = "init"
_EPILOG: Final = """\
Reads a Deployment and its Service, Flagger's Canary, or Argo's Rollout, and writes a directory that
lint, rehearse and run take. It never overwrites a file. - reads the standard input; --live reads a
Deployment and the Services of its namespace from the cluster.

  tallykv-rollout init k8s/shop.yaml rollout/
  tallykv-rollout init --live shop --namespace shop rollout/ --gateway shop/edge --host shop.example
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="[DIR|FILE…] NEW",
        help="the manifests, and last the directory to write",
    )
    parser.add_argument("--live", metavar="DEPLOYMENT", help="read this Deployment of the cluster")
    parser.add_argument(
        "--deployment", metavar="NAME", help="the one to release, if there are several"
    )
    parser.add_argument(
        "--gateway",
        dest="gateways",
        action="append",
        default=[],
        metavar="NAMESPACE/NAME",
        help="a Gateway through which clients come (repeatable; default: only callers in the mesh)",
    )
    parser.add_argument(
        "--host",
        dest="hosts",
        action="append",
        default=[],
        metavar="NAME",
        help="a host that these clients ask for (repeatable)",
    )
    add_cluster_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the directory; return the exit code."""
    return run_command(NAME, _run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    *sources, new = arguments.paths
    if bool(sources) == bool(arguments.live):
        raise UsageError("give manifests and then the new directory, or --live and the directory")
    if bool(arguments.gateways) != bool(arguments.hosts):
        raise UsageError("--gateway and --host belong together")
    live = ""
    if arguments.live:
        async with open_cluster(arguments) as client:
            found = await read_live(client, arguments.namespace, arguments.live)
        live = yaml.safe_dump_all(found)
    plan = await asyncio.to_thread(_plan, sources, live, arguments)
    await asyncio.to_thread(_write, Path(new), plan)
    loaded = await asyncio.to_thread(load_plan, new, namespace=arguments.namespace)
    steps = ", ".join(each.name for each in loaded.plan.steps)
    sys.stdout.write(f"wrote {new}: the steps {steps}; lint finds no error\n")
    for note in plan.notes:
        sys.stdout.write(f"- {note}\n")
    sys.stdout.write(f"next: tallykv-rollout rehearse {new}\n")
    return 0


def _plan(sources: list[str], live: str, arguments: argparse.Namespace) -> NewPlan:
    parser = ResourceParser(Schemas(None), arguments.namespace)
    if live:
        resources = parser.parse(ManifestText("the cluster", live))[0]
    else:
        if len(sources) == 1 and sources[0] != "-" and not arguments.deployment:
            controlled = load_controlled_plan(sources[0], namespace=arguments.namespace)
            if controlled:
                return plan_of_controller(controlled)
        bundles = collect(sources)
        resources = tuple(each for bundle in bundles for each in resources_of(parser, bundle))
    name = arguments.deployment or arguments.live
    return plan_for_deployment(resources, name, arguments.hosts, arguments.gateways)


def _write(directory: Path, plan: NewPlan) -> None:
    """Write the files of a plan into a directory that is not there, or empty."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty; name a new directory")
        for name, text in plan.files.items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
    except OSError as error:
        raise CouldNotRun(f"{directory} can't be written: {error.strerror}") from None
