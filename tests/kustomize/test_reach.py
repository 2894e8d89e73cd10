"""Selectors, and which pods may connect: Services, monitors, policies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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

STORES: Final = ("redis-single", "redis-sentinel", "redis-cluster", "redis-external")
GUARDED: Final = ("monitoring", "otel", "mesh", "jwt", "hardened")
HERE: Final = "shop"


@dataclass(frozen=True)
class Pod:
    """A client or a server; ``ports`` maps names to (number, protocol)."""

    name: str
    namespace: str
    labels: dict[str, str]
    ports: dict[str, tuple[int, str]]
    principal: str = ""


OUTSIDE: Final = (
    Pod("gateway", "istio-system", {"istio": "ingressgateway"}, {}),
    Pod("charts gateway", "istio-ingress", {"istio": "ingress"}, {}),
    Pod(
        "istiod", "istio-system", {"app": "istiod"}, {"xds": (15012, "TCP"), "debug": (8080, "TCP")}
    ),
    Pod("prometheus", "monitoring", {}, {"web": (9090, "TCP")}),
    Pod("collector", "observability", {}, {"otlp": (4318, "TCP"), "grpc": (4317, "TCP")}),
    Pod("dns", "kube-system", {}, {"dns": (53, "UDP"), "dns-tcp": (53, "TCP")}),
    Pod("stranger", HERE, {"app": "stranger"}, {"http": (8080, "TCP"), "redis": (6379, "TCP")}),
    Pod("foreigner", "elsewhere", {"app": "kv"}, {"redis": (6379, "TCP")}),
)


def inside(objects: Objects) -> Iterator[Pod]:
    for owner, template in templates(objects):
        ports = {
            port["name"]: (port["containerPort"], port.get("protocol", "TCP"))
            for container in containers(template)
            for port in container["ports"]
        }
        account = template["spec"]["serviceAccountName"]
        yield Pod(
            owner["metadata"]["name"],
            HERE,
            template["metadata"]["labels"],
            ports,
            f"cluster.local/ns/{HERE}/sa/{account}",
        )


@pytest.fixture(scope="module", params=STORES)
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """All policies for the pods, with each kind of store."""
    parts = [f"kustomize/components/{part}" for part in (request.param, *GUARDED)]
    return compose(tmp_path_factory.mktemp("overlay"), *parts, namespace=HERE)


# --- selectors


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_selectors_take_the_pods_they_are_meant_for(directory: Path) -> None:
    objects = render(directory)
    pods = list(inside(objects))
    meant = {
        ("Service", "kv"): {"kv"},
        ("Service", "kv-metrics"): {"kv"},
        ("Service", "redis"): {"redis"},
        ("Service", "redis-headless"): {"redis"},
        ("Service", "sentinel"): {"sentinel"},
        ("Deployment", "kv"): {"kv"},
        ("StatefulSet", "redis"): {"redis"},
        ("StatefulSet", "sentinel"): {"sentinel"},
        ("PodMonitor", "kv"): {"kv"},
        ("PodDisruptionBudget", "kv"): {"kv"},
        ("PodDisruptionBudget", "redis"): {"redis"},
        ("PodDisruptionBudget", "sentinel"): {"sentinel"},
        ("PeerAuthentication", "kv"): {"kv"},
        ("AuthorizationPolicy", "kv"): {"kv"},
        ("AuthorizationPolicy", "redis"): {"redis", "sentinel"} & {pod.name for pod in pods},
    }

    for each in objects:
        selector = each.get("spec", {}).get("selector")
        if selector is not None:
            taken = {pod.name for pod in pods if is_selected(pod.labels, selector)}
            assert taken == meant[each["kind"], each["metadata"]["name"]], title(each)


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_a_services_ports_are_its_pods_and_none_but_kv_metrics_shows_the_admin_port(
    directory: Path,
) -> None:
    objects = render(directory)
    pods = list(inside(objects))
    for service in of_kind(objects, "Service"):
        taken = [pod for pod in pods if is_selected(pod.labels, service["spec"]["selector"])]
        for port in service["spec"]["ports"]:
            assert {pod.ports[port["targetPort"]] for pod in taken} == {(port["port"], "TCP")}
            assert (port["targetPort"] == "admin") == (service["metadata"]["name"] == "kv-metrics")
            protocol = port["name"].partition("-")[0]
            assert port["appProtocol"] == protocol


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_a_stateful_set_has_its_headless_service_and_its_pods_find_each_other_early(
    directory: Path,
) -> None:
    objects = render(directory)
    for each in of_kind(objects, "StatefulSet"):
        service = the(objects, "Service", each["spec"]["serviceName"])

        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        assert service["spec"]["selector"] == each["spec"]["selector"]["matchLabels"]


def test_the_monitor_scrapes_a_port_that_the_pods_have(secured: Objects) -> None:
    monitor = the(secured, "PodMonitor", "kv")
    taken = [pod for pod in inside(secured) if is_selected(pod.labels, monitor["spec"]["selector"])]

    assert {pod.name for pod in taken} == {"kv"}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert all(endpoint["port"] in pod.ports for pod in taken)


# --- connections


def expected_connections(pods: list[Pod]) -> set[tuple[str, str, int]]:
    """Return the necessary connections as (client, server, port)."""
    store = {pod.name for pod in pods} & {"redis", "sentinel"}
    ports = {pod.name: {number for number, _ in pod.ports.values()} for pod in pods}
    reach = {(gateway, "kv", 8080) for gateway in ("gateway", "charts gateway")}
    reach |= {("prometheus", "kv", 9102), ("kv", "collector", 4318)}
    for name in ("kv", *store):
        reach |= {(name, "dns", 53), (name, "istiod", 15012)}
    for whom in store:
        reach |= {("kv", whom, port) for port in ports[whom] - {16379}}
        reach |= {(who, whom, port) for who in store for port in ports[whom]}
    return reach


def test_network_policies_let_through_what_has_business_and_nothing_else(
    secured: Objects,
) -> None:
    ours = list(inside(secured))
    policies = of_kind(secured, "NetworkPolicy")

    reach = {
        (who.name, whom.name, number)
        for who, whom in itertools.product([*ours, *OUTSIDE], repeat=2)
        if who in ours or whom in ours
        for number, protocol in whom.ports.values()
        if may_connect(policies, who, whom, number, protocol)
    }

    assert reach == expected_connections(ours)
    dns = pod_named(OUTSIDE, "dns")
    for pod in ours:
        assert all(may_connect(policies, pod, dns, 53, protocol) for protocol in ("UDP", "TCP"))


def test_prometheus_alone_asks_sidecars_how_they_are(secured: Objects) -> None:
    policies = of_kind(secured, "NetworkPolicy")

    for pod, port in itertools.product(inside(secured), (15020, 15090)):
        asking = {who.name for who in OUTSIDE if may_connect(policies, who, pod, port, "TCP")}
        assert asking == {"prometheus"}


def pod_named(pods: tuple[Pod, ...], name: str) -> Pod:
    (found,) = [pod for pod in pods if pod.name == name]
    return found


def may_connect(policies: Objects, who: Pod, whom: Pod, port: int, protocol: str) -> bool:
    """Apply NetworkPolicies as a network plugin does; all of them are in namespace HERE."""
    for pod, other, way, peers in (
        (who, whom, "Egress", "to"),
        (whom, who, "Ingress", "from"),
    ):
        over = [
            each["spec"]
            for each in policies
            if pod.namespace == HERE
            and is_selected(pod.labels, each["spec"]["podSelector"])
            and way in each["spec"]["policyTypes"]
        ]
        if over and not any(
            any(is_peer(other, peer) for peer in rule[peers])
            and any(
                (each.get("protocol", "TCP"), number_of(each["port"], whom)) == (protocol, port)
                for each in rule["ports"]
            )
            for spec in over
            for rule in spec.get(way.lower(), [])
        ):
            return False
    return True


def is_peer(pod: Pod, peer: dict[str, Any]) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        namespace = {"kubernetes.io/metadata.name": pod.namespace}
        if not is_selected(namespace, peer["namespaceSelector"]):
            return False
    elif pod.namespace != HERE:
        return False
    return is_selected(pod.labels, peer.get("podSelector", {}))


def number_of(port: int | str, pod: Pod) -> int | None:
    return port if isinstance(port, int) else pod.ports.get(port, (None,))[0]


def test_without_hardened_an_external_redis_cuts_off_neither_collector_nor_istiod(
    tmp_path: Path,
) -> None:
    objects = compose(tmp_path, "kustomize/components/redis-external", namespace=HERE)
    policies = of_kind(objects, "NetworkPolicy")
    (kv,) = inside(objects)

    for name, port in (("collector", 4318), ("istiod", 15012), ("dns", 53)):
        assert may_connect(
            policies, kv, pod_named(OUTSIDE, name), port, "UDP" if port == 53 else "TCP"
        )
    assert may_connect(policies, pod_named(OUTSIDE, "gateway"), kv, 8080, "TCP")
    assert not may_connect(policies, kv, pod_named(OUTSIDE, "stranger"), 6379, "TCP")


def test_the_mesh_allows_those_who_have_business_by_name_and_port(secured: Objects) -> None:
    ours = list(inside(secured))
    gateways = {
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account": "gateway",
        "cluster.local/ns/istio-ingress/sa/istio-ingress": "charts gateway",
    }
    strangers = {f"cluster.local/ns/{HERE}/sa/default", "cluster.local/ns/elsewhere/sa/kv", ""}
    names = {pod.principal: pod.name for pod in ours if pod.name != "sentinel"}
    names |= gateways | dict.fromkeys(strangers, "stranger")

    reach = {
        (names[principal], pod.name, number)
        for principal, pod in itertools.product(names, ours)
        for number, _ in pod.ports.values()
        if is_allowed(secured, pod, principal, number)
    }

    # Sentinels use the account redis. Anybody may read metrics: Prometheus has no certificate.
    meant = {
        ("redis" if who == "sentinel" else who, whom, port)
        for who, whom, port in expected_connections(ours)
        if whom in {pod.name for pod in ours} and port != 9102
    }
    assert reach == meant | {(who, "kv", 9102) for who in names.values()}


def is_allowed(objects: Objects, pod: Pod, principal: str, port: int) -> bool:
    """Apply authorization as a sidecar does, for GET /metrics or TCP, with a valid token."""
    policies = [
        each["spec"]
        for each in of_kind(objects, "AuthorizationPolicy")
        if is_selected(pod.labels, each["spec"].get("selector", {}))
        and each["spec"].get("action", "ALLOW") == "ALLOW"
    ]
    assert {} in policies
    return any(
        str(port) in to["operation"]["ports"]
        and (
            "from" not in rule
            or any(principal in source["source"]["principals"] for source in rule["from"])
        )
        for spec in policies
        for rule in spec.get("rules", [])
        for to in rule["to"]
    )


def test_rules_for_redis_ask_nothing_of_http(secured: Objects) -> None:
    for rule in the(secured, "AuthorizationPolicy", "redis")["spec"]["rules"]:
        assert [source["source"].keys() for source in rule["from"]] == [{"principals"}]
        assert [to["operation"].keys() for to in rule["to"]] == [{"ports"}]


def test_metrics_alone_are_to_be_had_without_a_certificate(secured: Objects) -> None:
    (default, kv) = (the(secured, "PeerAuthentication", name)["spec"] for name in ("default", "kv"))
    (open_rule,) = [
        rule
        for rule in the(secured, "AuthorizationPolicy", "kv")["spec"]["rules"]
        if "from" not in rule
    ]

    assert default == {"mtls": {"mode": "STRICT"}}
    assert kv["mtls"] == {"mode": "STRICT"}
    assert kv["portLevelMtls"] == {"9102": {"mode": "PERMISSIVE"}}
    assert [port["port"] for port in the(secured, "Service", "kv-metrics")["spec"]["ports"]] == [
        9102
    ]
    assert open_rule["to"] == [
        {"operation": {"ports": ["9102"], "methods": ["GET"], "paths": ["/metrics"]}}
    ]


def test_whoever_shows_no_token_of_the_issuer_is_refused_on_the_traffic_port(
    secured: Objects,
) -> None:
    (rule,) = the(secured, "RequestAuthentication", "kv")["spec"]["jwtRules"]
    policy = the(secured, "AuthorizationPolicy", "kv-require-jwt")["spec"]

    assert policy["action"] == "DENY"
    assert policy["rules"] == [
        {
            "from": [{"source": {"notRequestPrincipals": [f"{rule['issuer']}/*"]}}],
            "to": [{"operation": {"ports": ["8080"]}}],
        }
    ]
    for each in ("RequestAuthentication/kv", "AuthorizationPolicy/kv-require-jwt"):
        selector = the(secured, *each.split("/"))["spec"]["selector"]
        assert {p.name for p in inside(secured) if is_selected(p.labels, selector)} == {"kv"}


def test_the_namespace_says_that_it_is_in_the_mesh_and_restricted(secured: Objects) -> None:
    labels = the(secured, "Namespace", HERE)["metadata"]["labels"]

    assert labels["istio-injection"] == "enabled"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_sidecars_know_of_all_that_the_pods_have_business_with(secured: Objects) -> None:
    (egress,) = the(secured, "Sidecar", "default")["spec"]["egress"]

    assert set(egress["hosts"]) == {"./*", "istio-system/*", "observability/*"}


def test_a_mesh_samples_as_the_service_does_and_logs_what_failed(secured: Objects) -> None:
    spec = the(secured, "Telemetry", "default")["spec"]

    (tracing,), (logging,) = spec["tracing"], spec["accessLogging"]
    (sampler,) = [
        each["data"]
        for each in of_kind(secured, "ConfigMap")
        if "OTEL_TRACES_SAMPLER_ARG" in each["data"]
    ]
    ratio = float(sampler["OTEL_TRACES_SAMPLER_ARG"])
    assert tracing["randomSamplingPercentage"] == 100 * ratio == 1
    assert logging["filter"]["expression"] == "response.code >= 500"
