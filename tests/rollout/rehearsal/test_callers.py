"""A caller inside the mesh has a namespace and labels, which routes and Sidecars look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.envoy.proxy import Proxy
from rollout.rehearsal.errors import NoIngress
from tests.rollout.rehearsal.derived import OPTIONS, rehearsed, status

pytestmark = pytest.mark.asyncio

#: Routes before those of the releases.
BY_CALLER: Final = """\
  http:
    - {match: [{sourceLabels: {app: cart}}], directResponse: {status: 201}}
    - {match: [{sourceNamespace: tools}], directResponse: {status: 202}}
"""


@pytest.mark.parametrize(
    ("namespace", "labels", "expected"),
    [
        ("shop", {}, 200),
        ("shop", {"app": "cart", "version": "v1"}, 201),
        ("shop", {"app": "other"}, 200),
        ("tools", {}, 202),
        ("tools", {"app": "cart"}, 201),
        ("elsewhere", {}, 200),
    ],
)
async def test_routes_are_chosen_by_the_caller(
    tmp_path: Path, namespace: str, labels: Mapping[str, str], expected: int
) -> None:
    options = replace(OPTIONS, caller=Proxy.sidecar(namespace, labels))

    async with rehearsed(
        tmp_path, options=options, inside=True, changed={"  http:\n": BY_CALLER}
    ) as running:
        assert await status(running) == expected
        [note] = [each for each in running.notes if "a caller inside" in each]

    assert f"in namespace {namespace}" in note
    assert all(f"{key}={each}" in note for key, each in labels.items())


def sidecar(**spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": "narrow", "namespace": "shop"},
            "spec": spec,
        }
    )


async def test_a_sidecar_for_some_pods_narrows_what_these_reach(tmp_path: Path) -> None:
    blind = sidecar(
        workloadSelector={"labels": {"app": "blind"}}, egress=[{"hosts": ["istio-system/*"]}]
    )

    def called_by(app: str) -> Any:
        options = replace(OPTIONS, caller=Proxy.sidecar("shop", {"app": app}))
        return rehearsed(tmp_path / app, blind, options=options, inside=True)

    for app in ("cart", "blind"):
        (tmp_path / app).mkdir()
    async with called_by("cart") as running:
        assert await status(running) == 200
    with pytest.raises(NoIngress, match="callers in shop see no Service"):
        async with called_by("blind"):
            pass
