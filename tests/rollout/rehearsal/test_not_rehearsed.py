"""What a rehearsal does not test is listed, and nothing else."""

from __future__ import annotations

from typing import Final

import pytest

from rollout.rehearsal.not_rehearsed import not_rehearsed
from tests.rollout.envoy.example_mesh import (
    EDGE_GATEWAY,
    KV_MANIFESTS,
    destination_rule,
    documents,
    virtual_service,
)

SECURE: Final = """
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: shop}
    spec:
      servers:
        - hosts: ["*"]
          port: {number: 80, name: http, protocol: HTTP}
          tls: {httpsRedirect: true}
        - hosts: ["*"]
          port: {number: 443, name: https, protocol: HTTPS}
          tls: {mode: SIMPLE, credentialName: c}
"""

BY_ADDRESS: Final = (
    "{rules: [{from: [{source: {notIpBlocks: [10.0.0.1]}}],"
    " when: [{key: remote.ip, values: [10.0.0.1]}]}]}"
)


def listed(*texts: str) -> list[tuple[str, str]]:
    return [(each.object, each.path) for each in not_rehearsed(documents(*texts))]


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("security.istio.io/v1", "PeerAuthentication"),
        ("telemetry.istio.io/v1", "Telemetry"),
        ("networking.istio.io/v1", "Sidecar"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("gateway.networking.k8s.io/v1alpha2", "TCPRoute"),
        ("gateway.networking.k8s.io/v1alpha2", "TLSRoute"),
        ("gateway.networking.k8s.io/v1", "BackendTLSPolicy"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
    ],
)
def test_objects_that_do_nothing_here_are_named(api: str, kind: str) -> None:
    text = (
        f"{{apiVersion: {api}, kind: {kind}, metadata: {{name: a, namespace: shop}}, spec: {{}}}}"
    )

    assert listed(text) == [(f"{kind} shop/a", "")]


def test_what_routes_requests_is_not_named() -> None:
    rules = "- route: [{destination: {host: kv}}]"

    assert (
        listed(
            KV_MANIFESTS,
            EDGE_GATEWAY,
            virtual_service(rules),
            destination_rule("{loadBalancer: {simple: RANDOM}}"),
        )
        == []
    )


def test_tls_is_named_by_its_path() -> None:
    assert listed(SECURE) == [
        ("Gateway shop/edge", "spec.servers[0].tls.httpsRedirect"),
        ("Gateway shop/edge", "spec.servers[1].tls"),
    ]
    assert listed(destination_rule("{tls: {mode: SIMPLE}}", "{tls: {mode: ISTIO_MUTUAL}}")) == [
        ("DestinationRule default/kv", "spec.trafficPolicy.tls"),
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "paths"),
    [
        ("AuthorizationPolicy", "{}", []),
        ("AuthorizationPolicy", "{rules: [{from: [{source: {principals: [a]}}]}]}", []),
        (
            "AuthorizationPolicy",
            "{action: CUSTOM, provider: {name: opa}, rules: [{}]}",
            ["spec.action"],
        ),
        (
            "AuthorizationPolicy",
            "{targetRefs: [{kind: Service, name: kv}], rules: [{}]}",
            ["spec.targetRefs[0]"],
        ),
        (
            "AuthorizationPolicy",
            BY_ADDRESS,
            ["spec.rules[0].from[0].source.notIpBlocks", "spec.rules[0].when[0]"],
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwks: '{}'}, {issuer: b}, {issuer: c, jwksUri: 'https://c'}]}",
            ["spec.jwtRules[1].issuer", "spec.jwtRules[2].jwksUri"],
        ),
        (
            "RequestAuthentication",
            "{jwtRules: [{issuer: a, jwks: '{}', presence: REQUIRED}]}",
            ["spec.jwtRules[0].presence"],
        ),
    ],
)
def test_of_policies_only_what_is_not_checked_is_named(
    kind: str, spec: str, paths: list[str]
) -> None:
    text = f"""
        apiVersion: security.istio.io/v1
        kind: {kind}
        metadata: {{name: a, namespace: shop}}
        spec: {spec}
    """

    assert listed(text) == [(f"{kind} shop/a", each) for each in paths]


def test_each_is_one_line() -> None:
    first, *_ = not_rehearsed(documents(SECURE))

    assert str(first).startswith("Gateway shop/edge spec.servers[0].tls.httpsRedirect: ")
