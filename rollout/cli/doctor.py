"""The subcommand ``doctor``: what a rollout lacks, before it begins."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from typing import Final

from ..cluster.kubeconfig import open_client
from ..plan.loading import LoadedPlan
from .arguments import add_plan_arguments, load_plan_of
from .cluster_findings import cluster_findings
from .exit_codes import run_command
from .findings import Finding, Health
from .prometheus_findings import prometheus_findings
from .source_arguments import add_source_arguments, question_of, server_of

NAME: Final = "doctor"
_EPILOG: Final = """\
Looks at the cluster and at Prometheus as run would, changes nothing, and says in each line what to
do next.

  tallykv-rollout doctor istio/canary --prometheus http://localhost:9090

exit code: 0 nothing is missing, 1 something is, 2 error
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_plan_arguments(parser)
    add_source_arguments(parser)
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: the file that kubectl would use"
    )
    parser.add_argument("--context", metavar="NAME", help="default: current context of the file")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return the exit code."""
    return run_command(NAME, _run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    loaded = await load_plan_of(arguments)
    missing = False
    async for finding in _findings(arguments, loaded):
        sys.stdout.write(finding.render() + "\n")
        sys.stdout.flush()
        missing |= finding.health is Health.MISSING
    return int(missing)


async def _findings(arguments: argparse.Namespace, loaded: LoadedPlan) -> AsyncIterator[Finding]:
    names = [each.name for each in loaded.plan.steps]
    yield Finding(Health.OK, f"the plan has the steps {', '.join(names)}, and no lint error")
    async with open_client(kubeconfig=arguments.kubeconfig, context=arguments.context) as client:
        async for finding in cluster_findings(client, loaded):
            yield finding
    async for finding in prometheus_findings(server_of(arguments), question_of(arguments, loaded)):
        yield finding
