"""Which pods may share a node, be evicted together, and be reached, in every environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.kustomize.installations import WHOLE, Objects, name_of
from tests.support.manifests import (
    compose,
    containers,
    is_selected,
    of_kind,
    render,
    templates,
    the,
    title,
)

#: For one person's own cluster.
DEVELOPMENT: Final = {"dev", "recreate", "ramped"}
SHARED: Final = [d for d in WHOLE if d.name not in DEVELOPMENT]
NODE: Final = "kubernetes.io/hostname"


@pytest.fixture(scope="module", params=[*WHOLE, "redis-cluster"], ids=str)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    if isinstance(request.param, Path):
        return render(request.param)
    return compose(tmp_path_factory.mktemp("overlay"), f"kustomize/components/{request.param}")


def test_no_two_members_of_a_quorum_share_a_node(objects: Objects) -> None:
    """Spread constraints can't hold this: with two nodes left, one of them may get two of three."""
    for owner, template in templates(of_kind(objects, "StatefulSet")):
        if owner["spec"]["replicas"] == 1:
            continue
        rules = template["spec"]["affinity"]["podAntiAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        apart = [
            each["topologyKey"]
            for each in rules
            if is_selected(template["metadata"]["labels"], each["labelSelector"])
        ]
        assert apart == [NODE], title(owner)


def test_members_of_a_quorum_leave_other_pods_their_nodes(objects: Objects) -> None:
    """A Sentinel and a Redis may share one: three nodes are enough."""
    pods = [(owner, t["metadata"]["labels"]) for owner, t in templates(objects)]
    for owner, template in templates(of_kind(objects, "StatefulSet")):
        anti = template["spec"].get("affinity", {}).get("podAntiAffinity", {})
        for rule in anti.get("requiredDuringSchedulingIgnoredDuringExecution", []):
            kept = [title(o) for o, labels in pods if is_selected(labels, rule["labelSelector"])]
            assert kept == [title(owner)]


@pytest.mark.parametrize("directory", SHARED, ids=name_of)
def test_pods_are_spread_over_zones_release_by_release(directory: Path) -> None:
    deployment = the(render(directory), "Deployment", "kv")
    ((_, template),) = templates([deployment])

    spread = {each["topologyKey"]: each for each in template["spec"]["topologySpreadConstraints"]}

    assert spread.keys() == {"topology.kubernetes.io/zone", NODE}
    for each in spread.values():
        assert each["matchLabelKeys"] == ["pod-template-hash"]
        assert is_selected(template["metadata"]["labels"], each["labelSelector"])


@pytest.mark.parametrize("directory", SHARED, ids=name_of)
def test_a_disruption_takes_one_pod_of_a_kind_at_a_time(directory: Path) -> None:
    """A single pod has no budget: one that holds would make its node undrainable."""
    objects = render(directory)
    budgets = of_kind(objects, "PodDisruptionBudget")

    assert {each["spec"]["maxUnavailable"] for each in budgets} == {1}
    for owner, template in templates(objects):
        labels = template["metadata"]["labels"]
        over = [each for each in budgets if is_selected(labels, each["spec"]["selector"])]
        assert len(over) == (owner["spec"].get("replicas") != 1), title(owner)


@pytest.mark.parametrize("directory", SHARED, ids=name_of)
def test_network_policies_are_over_every_pod_in_both_directions(directory: Path) -> None:
    objects = render(directory)
    policies = [each["spec"] for each in of_kind(objects, "NetworkPolicy")]

    everywhere = [each for each in policies if each["podSelector"] == {} and len(each) == 2]
    assert [each["policyTypes"] for each in everywhere] == [["Ingress", "Egress"]]
    for owner, template in templates(objects):
        labels = template["metadata"]["labels"]
        own = [
            each
            for each in policies
            if each["podSelector"] and is_selected(labels, each["podSelector"])
        ]
        assert [each["policyTypes"] for each in own] == [["Ingress", "Egress"]], title(owner)


def test_staging_and_production_share_the_service() -> None:
    staging, prod = (
        the(render(f"kustomize/overlays/{name}"), "Deployment", "kv")["spec"]
        for name in ("staging", "prod")
    )
    for spec in (staging, prod):
        (container,) = containers(spec["template"])
        container["image"] = container["image"].partition("@")[0]

    assert staging == prod
