"""Where a rollout's state is kept: a directory here, or a ConfigMap beside the routes."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from lightkube import AsyncClient

from ..cluster.config_map_state import ConfigMapStateStore
from ..cluster.kubeconfig import open_client
from ..plan.model import Plan
from ..runner.file_state import DirectoryState
from ..runner.state import StateStore

CONFIG_MAP: Final = "configmap"
_DEFAULT: Final = Path(".tallykv-rollout")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Declare which cluster, and where the state is."""
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: as kubectl finds it")
    parser.add_argument("--context", metavar="NAME", help="default: the kubeconfig's current one")
    parser.add_argument(
        "--state",
        metavar="DIR|configmap",
        help=f"where the state is kept (default: {_DEFAULT}/NAMESPACE-NAME here; configmap: in the"
        " cluster, so that another machine can go on)",
    )


@contextlib.asynccontextmanager
async def open_store(
    arguments: argparse.Namespace, plan: Plan, client: AsyncClient | None = None
) -> AsyncIterator[StateStore]:
    """Open the state that the flags name; raise TargetFailed if its cluster can't be found."""
    if arguments.state != CONFIG_MAP:
        named = f"{plan.namespace}-{plan.virtual_service}"
        yield DirectoryState(Path(arguments.state) if arguments.state else _DEFAULT / named)
        return
    async with contextlib.AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(
                open_client(kubeconfig=arguments.kubeconfig, context=arguments.context)
            )
        yield ConfigMapStateStore(client, plan.namespace, plan.virtual_service)
