"""What the mesh lets through, whom it asks for what, and what it samples and logs."""

from __future__ import annotations

import itertools

from tests.kustomize.installations import Objects
from tests.kustomize.pods import HERE, Pod, expected_connections, inside
from tests.support.manifests import (
    is_selected,
    of_kind,
    the,
)


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
