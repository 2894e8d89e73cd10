"""The permissions of the component rollout-runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from rollout.__main__ import build_parser
from tests.kustomize.installations import Objects
from tests.support.manifests import (
    compose,
    containers,
    is_selected,
    schema_error,
    templates,
    the,
    title,
)

COMPONENT: Final = "kustomize/components/rollout-runner"
JOB: Final = "kustomize/components/rollout-job"
WORKLOADS: Final = "kustomize/components/rollout-workloads"
HERE: Final = "shop"
#: Keys are group, resource and name. An empty name means all objects of the namespace.
MAY: Final = {
    ("networking.istio.io", "virtualservices", "kv"): {"get", "patch"},
    ("gateway.networking.k8s.io", "httproutes", "kv"): {"get", "patch"},
    ("gateway.networking.k8s.io", "grpcroutes", "kv"): {"get", "patch"},
    ("flagger.app", "canaries", None): {"list"},
    ("argoproj.io", "rollouts", None): {"list"},
    ("", "configmaps", "tallykv-rollout-kv"): {"get", "patch"},
    ("coordination.k8s.io", "leases", "tallykv-rollout-kv"): {"get", "patch"},
}
MAY_WITH_PODS: Final = {
    ("apps", "deployments", "kv-stable"): {"get", "patch"},
    ("apps", "deployments", "kv-canary"): {"get", "patch"},
    ("", "pods", None): {"list"},
    ("autoscaling", "horizontalpodautoscalers", None): {"list"},
    ("policy", "poddisruptionbudgets", None): {"list"},
    ("keda.sh", "scaledobjects", None): {"list"},
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

    assert granted(role) == MAY
    assert role["metadata"]["namespace"] == HERE


def granted(role: Mapping[str, Any]) -> dict[tuple[str, str, str | None], set[str]]:
    return {
        (group, resource, name): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [None])
    }


def test_the_rights_on_pods_are_in_a_component_of_their_own(tmp_path: Path) -> None:
    resources = ("istio/canary/1-workloads",)
    objects = compose(tmp_path, COMPONENT, WORKLOADS, resources=resources, namespace=HERE)

    assert granted(the(objects, "Role", "rollout-runner")) == MAY
    assert granted(the(objects, "Role", "rollout-workloads")) == MAY_WITH_PODS
    binding = the(objects, "RoleBinding", "rollout-workloads")
    assert binding["roleRef"]["name"] == "rollout-workloads"
    assert binding["subjects"] == the(objects, "RoleBinding", "rollout-runner")["subjects"]
    for _, resource, name in MAY_WITH_PODS:
        if resource == "deployments":
            the(objects, "Deployment", str(name))


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


def test_its_state_and_its_lease_are_there_so_that_it_need_not_create_them(
    objects: Objects,
) -> None:
    for kind in ("ConfigMap", "Lease"):
        assert set(the(objects, kind, "tallykv-rollout-kv")) <= {"apiVersion", "kind", "metadata"}


def test_the_virtual_service_that_it_may_change_is_the_one_that_there_is(tmp_path: Path) -> None:
    objects = compose(tmp_path, COMPONENT, resources=("istio/gateway/routes",), namespace=HERE)

    for _, resource, name in MAY:
        if resource == "virtualservices":
            the(objects, "VirtualService", str(name))


def test_the_state_that_it_may_write_is_there_and_empty(objects: Objects) -> None:
    """So it needs no right to create, which can't be limited to a name."""
    state = the(objects, "ConfigMap", "tallykv-rollout-kv")
    lease = the(objects, "Lease", "tallykv-rollout-kv")

    assert not state.keys() & {"data", "binaryData", "immutable"}
    assert "spec" not in lease
    assert not [verbs for verbs in MAY.values() if verbs - {"get", "patch", "list"}]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    directory = tmp_path_factory.mktemp("job")
    return compose(directory, COMPONENT, JOB, namespace=HERE)


def test_the_job_meets_the_restricted_standard_and_is_replaced_until_it_has_a_verdict(
    job: Objects,
) -> None:
    found = the(job, "Job", "rollout-runner")
    ((_, template),) = templates([found])
    [container] = containers(template)
    spec = template["spec"]

    assert schema_error(found, "1.33") is None
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert spec["restartPolicy"] == "Never"
    # With a podFailurePolicy, a pod on a node that is gone would not be replaced.
    assert "podFailurePolicy" not in found["spec"]
    assert "--exit-zero" in container["args"]
    assert (
        spec["serviceAccountName"]
        == the(job, "ServiceAccount", "rollout-runner")["metadata"]["name"]
    )
    assert spec["automountServiceAccountToken"] is True


def test_the_job_is_given_what_run_takes_and_is_probed_where_it_answers(job: Objects) -> None:
    ((_, template),) = templates([the(job, "Job", "rollout-runner")])
    [container] = containers(template)

    parsed = build_parser("run").parse_args(container["args"])

    [port] = container["ports"]
    assert (port["name"], port["containerPort"]) == ("metrics", parsed.metrics_port)
    assert parsed.state is None  # in the cluster
    assert not parsed.again  # a pod that is replaced must not begin a new rollout
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {parsed.plan, "/tmp"}  # noqa: S108 - in the pod
    probes = {
        container[f"{each}Probe"]["httpGet"]["path"]
        for each in ("startup", "liveness", "readiness")
    }
    assert probes == {"/livez", "/readyz"}


def test_the_network_policy_and_the_monitor_of_the_job_are_about_its_port(tmp_path: Path) -> None:
    objects = compose(
        tmp_path, COMPONENT, JOB, f"{JOB}-hardened", f"{JOB}-monitoring", namespace=HERE
    )
    ((_, template),) = templates([the(objects, "Job", "rollout-runner")])
    [container] = containers(template)
    policy = the(objects, "NetworkPolicy", "rollout-runner")
    monitor = the(objects, "PodMonitor", "rollout-runner")

    assert schema_error(policy, "1.33") is None
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    labels = template["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert is_selected(labels, monitor["spec"]["selector"]), title(monitor)
    [port] = [each["name"] for each in container["ports"]]
    assert [each["ports"] for each in policy["spec"]["ingress"]] == [[{"port": port}]]
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == [port]
    [prometheus] = [each for each in container["args"] if each.startswith("--prometheus=")]
    address = urlsplit(prometheus.partition("=")[2])
    assert {"port": address.port} in policy["spec"]["egress"][1]["ports"]
    to = policy["spec"]["egress"][1]["to"][0]["namespaceSelector"]["matchLabels"]
    assert str(address.hostname).endswith(f".{to['kubernetes.io/metadata.name']}")


def test_no_service_sends_the_job_anything(job: Objects) -> None:
    ((_, template),) = templates([the(job, "Job", "rollout-runner")])
    labels = template["metadata"]["labels"]

    for each in job:
        if each["kind"] == "Service":
            assert not each["spec"]["selector"].items() <= labels.items()
