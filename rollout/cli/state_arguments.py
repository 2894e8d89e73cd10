"""Arguments of the commands for a running rollout: the cluster, and where the state is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from lightkube import AsyncClient

from ..cluster.config_map_state import ConfigMapStateStore
from ..runner.directory_state_store import DirectoryStateStore
from ..runner.state_store import StateStore
from .rollout_name import RolloutName

_CONFIG_MAP: Final = "configmap"


def add_state_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the cluster and the state store."""
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: the file that kubectl would use"
    )
    parser.add_argument("--context", metavar="NAME", help="default: current context of the file")
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="where the rollout's state is saved: a directory on this machine (default: the"
        " ConfigMap tallykv-rollout-NAME in the cluster, which all machines can use)",
    )


def is_in_cluster(arguments: argparse.Namespace) -> bool:
    """Return True if the state is in the cluster."""
    # ``configmap`` is how earlier versions were told.
    return arguments.state in {None, _CONFIG_MAP}


def state_store(
    arguments: argparse.Namespace, rollout: RolloutName, client: AsyncClient | None
) -> StateStore:
    """Return the state store; ``client`` is needed if the state is in the cluster."""
    if not is_in_cluster(arguments):
        return DirectoryStateStore(Path(arguments.state))
    assert client is not None  # noqa: S101 - the caller has asked is_in_cluster
    return ConfigMapStateStore(client, rollout.namespace, rollout.name)
