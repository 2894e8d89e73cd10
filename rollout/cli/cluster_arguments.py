"""The arguments of commands that read a cluster without a plan."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator

from lightkube import AsyncClient

from ..cluster.kubeconfig import open_client


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the cluster and the namespace; ``open_cluster`` uses them."""
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: the file that kubectl would use"
    )
    parser.add_argument("--context", metavar="NAME", help="default: current context of the file")
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        default="default",
        help="namespace of the service, and of objects that name none (default: default)",
    )


@contextlib.asynccontextmanager
async def open_cluster(arguments: argparse.Namespace) -> AsyncIterator[AsyncClient]:
    """Open a client of the selected cluster; raise TargetFailed if there is none."""
    async with open_client(kubeconfig=arguments.kubeconfig, context=arguments.context) as client:
        yield client
