"""The permissions of the component rollout-runner."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.kustomize.installations import Objects
from tests.support.manifests import compose, the

COMPONENT: Final = "kustomize/components/rollout-runner"
HERE: Final = "shop"
#: Keys are group, resource and name. An empty name means all objects of the namespace.
MAY: Final = {
    ("networking.istio.io", "virtualservices", "kv"): {"get", "patch"},
    ("flagger.app", "canaries", None): {"list"},
    ("argoproj.io", "rollouts", None): {"list"},
    ("", "configmaps", None): {"create"},
    ("", "configmaps", "tallykv-rollout-kv"): {"get", "patch"},
}


@pytest.fixture(scope="module", params=["kustomize/base", "istio/canary/1-workloads"])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """The component with workloads whose ConfigMap has a name with a hash."""
    directory = tmp_path_factory.mktemp("overlay")
    return compose(directory, COMPONENT, resources=(request.param,), namespace=HERE)


def test_it_may_move_the_weights_and_remember_what_it_does_and_nothing_else(
    objects: Objects,
) -> None:
    role = the(objects, "Role", "rollout-runner")

    may = {
        (group, resource, name): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [None])
    }

    assert may == MAY
    assert role["metadata"]["namespace"] == HERE


def test_its_rights_are_those_of_an_account_that_no_pod_has_by_itself(objects: Objects) -> None:
    binding = the(objects, "RoleBinding", "rollout-runner")
    account = the(objects, "ServiceAccount", "rollout-runner")

    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "rollout-runner",
    }
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "rollout-runner", "namespace": HERE}
    ]
    assert account["automountServiceAccountToken"] is False


def test_the_virtual_service_that_it_may_change_is_the_one_that_there_is(tmp_path: Path) -> None:
    objects = compose(tmp_path, COMPONENT, resources=("istio/gateway/routes",), namespace=HERE)

    for _, resource, name in MAY:
        if resource == "virtualservices":
            the(objects, "VirtualService", str(name))
