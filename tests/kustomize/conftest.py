"""Fixtures of the manifests: renderings, and a machine for pods."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import need_redis_7
from tests.kustomize.installations import WHOLE, Objects
from tests.kustomize.pods import HERE
from tests.kustomize.redis_pods import MakeNode, Node
from tests.support.manifests import compose, render

STORES: Final = ("redis-single", "redis-sentinel", "redis-cluster", "redis-external")
GUARDED: Final = ("monitoring", "otel", "mesh", "jwt", "hardened")


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    need_redis_7()
    if sys.platform != "linux" or not all(map(shutil.which, ("redis-server", "redis-cli"))):
        pytest.skip(
            "needs Linux, and redis-server and redis-cli by these names"
            " (Debian packages redis-server and redis-tools)"
        )
    nodes: list[Node] = []

    def make(objects: list[dict[str, Any]]) -> Node:
        nodes.append(Node(tmp_path, objects))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()


@pytest.fixture(scope="module", params=STORES)
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """All policies for the pods, with each kind of store."""
    parts = [f"kustomize/components/{part}" for part in (request.param, *GUARDED)]
    return compose(tmp_path_factory.mktemp("overlay"), *parts, namespace=HERE)


@pytest.fixture(
    scope="module",
    params=[*WHOLE, "redis-cluster", "redis-external"],
    ids=lambda param: getattr(param, "name", param),
)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """Each overlay, and one for each component that no overlay uses."""
    if isinstance(request.param, Path):
        return render(request.param)
    parts = [f"kustomize/components/{part}" for part in (request.param, "otel")]
    return compose(tmp_path_factory.mktemp("overlay"), *parts)
