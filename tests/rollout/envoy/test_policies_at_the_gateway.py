"""Which requests a real Envoy admits at a gateway with policies: 200, 401 or 403."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from rollout.envoy.configuration import LocalAddresses
from tests.rollout.envoy.envoy_binary import need_envoy, running_envoy
from tests.rollout.envoy.example_mesh import (
    EDGE_GATEWAY,
    KV_MANIFESTS,
    documents,
    read_objects,
    virtual_service,
)
from tests.support.certificates import Issuer
from tests.support.plain_http import fetch

#: In the root namespace, where the gateway is.
POLICIES: Final = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: one, namespace: istio-system}}
spec:
  jwtRules:
    - issuer: https://one.example.com
      jwks: '{one}'
      audiences: [kv, other]
      outputClaimToHeaders: [{{header: x-group, claim: group}}]
    - issuer: https://two.example.com
      jwks: '{two}'
      fromHeaders: [{{name: x-token, prefix: "Token "}}]
      fromParams: [token]
      fromCookies: [token]
    - issuer: https://without-keys.example.com
      jwksUri: https://without-keys.example.com/keys
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: refused, namespace: istio-system}}
spec:
  action: DENY
  rules:
    - to: [{{operation: {{paths: ["/denied/{{*}}/x"], notMethods: [PUT]}}}}]
    - when: [{{key: "request.headers[x-blocked]", values: ["*"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: tried, namespace: istio-system, annotations: {{istio.io/dry-run: "true"}}}}
spec: {{action: DENY, rules: [{{}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: allowed, namespace: istio-system}}
spec:
  rules:
    - to: [{{operation: {{hosts: [open.example.com], paths: [/open, "/open/*"]}}}}]
    - to: [{{operation: {{paths: ["/denied/*"]}}}}]
    - from: [{{source: {{ipBlocks: [127.0.0.0/8]}}}}]
      to: [{{operation: {{paths: [/local]}}}}]
    - from: [{{source: {{notIpBlocks: [127.0.0.0/8]}}}}]
      to: [{{operation: {{paths: [/remote]}}}}]
    - from: [{{source: {{requestPrincipals: ["https://one.example.com/alice"]}}}}]
      to: [{{operation: {{paths: [/alice]}}}}]
    - from: [{{source: {{requestPrincipals: ["*"]}}}}]
      to: [{{operation: {{paths: [/anybody]}}}}]
    - to: [{{operation: {{paths: [/group]}}}}]
      when: [{{key: "request.auth.claims[group]", values: [admins]}}]
    - to: [{{operation: {{paths: [/nested]}}}}]
      when: [{{key: "request.auth.claims[realm][roles]", values: [writer]}}]
    - to: [{{operation: {{paths: [/scope]}}}}]
      when: [{{key: "request.auth.claims[scope]", values: [write]}}]
    - to: [{{operation: {{paths: ["/routed*"]}}}}]
    - to: [{{operation: {{paths: [/mesh]}}}}]
      from: [{{source: {{principals: ["*"]}}}}]
"""
#: Some requests are routed by claims of their tokens.
RULES: Final = """
- {match: [{uri: {prefix: /routed}, headers: {"@request.auth.claims.group": {exact: beta}}}],
   directResponse: {status: 201}}
- {match: [{uri: {prefix: /routed}, headers: {"@request.auth.claims[realm][roles]": {prefix: wr}}}],
   directResponse: {status: 202}}
- {match: [{uri: {prefix: /routed}, headers: {"@request.auth.claims.realm.size": {}}}],
   directResponse: {status: 203}}
- {match: [{uri: {exact: /routed/out}, withoutHeaders: {"@request.auth.claims.sub": {exact: bob}}}],
   directResponse: {status: 204}}
- {directResponse: {status: 200}}
"""
ONE: Final = "https://one.example.com"


@dataclass(frozen=True)
class Edge:
    """A gateway with the policies, and who signs its tokens."""

    local: LocalAddresses
    one: Issuer
    two: Issuer

    def status(self, path: str, token: str = "", method: str = "GET", **headers: str) -> int:
        """Return the status of the answer, with the token as a bearer token if there is one."""
        address = self.local.listeners[80]
        sent = {"Host": "open.example.com", **headers}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        url = f"http://{address.host}:{address.port}{path}"
        return fetch(url, method, None, **sent).status


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    need_envoy()
    one, two = Issuer.named(ONE), Issuer.named("https://two.example.com")
    text = virtual_service(RULES, "['*']").replace(", mesh", "")
    objects = read_objects(
        documents(KV_MANIFESTS, EDGE_GATEWAY, text, POLICIES.format(one=one.jwks, two=two.jwks))
    )
    with running_envoy(objects, tmp_path_factory.mktemp("envoy")) as local:
        yield Edge(local, one, two)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/open", 200),
        ("/open?a=b", 200),
        ("/open/x/y", 200),
        ("/opened", 403),
        ("/", 403),
        ("/denied/a/x", 403),
        ("/denied/a/b/x", 200),
        ("/local", 200),
        ("/remote", 403),
        ("/mesh", 403),
    ],
)
def test_only_what_is_allowed_and_not_denied_passes(edge: Edge, path: str, status: int) -> None:
    assert edge.status(path) == status


def test_hosts_methods_and_headers_decide_too(edge: Edge) -> None:
    assert edge.status("/open", Host="other.example.com") == 403
    assert edge.status("/open", Host="OPEN.example.com") == 200
    assert edge.status("/denied/a/x", method="PUT") == 200
    assert edge.status("/open", x_blocked="1") == 403


def test_a_token_is_needed_only_where_a_policy_asks_for_it(edge: Edge) -> None:
    alice, bob = edge.one.token(aud="kv"), edge.one.token(aud=["other"], sub="bob")

    assert [edge.status("/alice", each) for each in ("", alice, bob)] == [403, 200, 403]
    assert [edge.status("/anybody", each) for each in ("", alice, bob)] == [403, 200, 200]
    assert edge.status("/open", alice) == 200


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 403),
        ({"group": "admins"}, 200),
        ({"group": ["users", "admins"]}, 200),
        ({"group": "users"}, 403),
    ],
)
def test_a_claim_is_compared(edge: Edge, claims: dict[str, str], status: int) -> None:
    assert edge.status("/group", edge.one.token(aud="kv", **claims)) == status


def test_nested_claims_and_claims_of_several_words_are_compared(edge: Edge) -> None:
    writer = edge.one.token(aud="kv", realm={"roles": ["reader", "writer"]}, scope="read write")
    reader = edge.one.token(aud="kv", realm={"roles": ["reader"]}, scope="read")

    for path in ("/nested", "/scope"):
        assert [edge.status(path, each) for each in (writer, reader)] == [200, 403]


def test_an_invalid_token_is_refused_wherever_it_is_sent(edge: Edge) -> None:
    strangers = Issuer.named(ONE)
    valid = edge.one.token(aud="kv")

    for token in (
        strangers.token(aud="kv"),
        edge.one.token(aud="kv", exp=1),
        edge.one.token(aud="kv", iss="https://unknown.example.com"),
        edge.one.token(iss="https://without-keys.example.com"),
        valid[:-8] + "AAAAAAAA",
        "nonsense",
    ):
        assert edge.status("/open", token) == 401, token
    assert edge.status("/open", valid) == 200
    # Envoy's answer to a valid token for somebody else.
    assert edge.status("/open", edge.one.token(aud="somebody else")) == 403


def test_a_rule_says_where_its_tokens_are(edge: Edge) -> None:
    token = edge.two.token()

    assert edge.status("/anybody", x_token=f"Token {token}") == 200
    assert edge.status(f"/anybody?token={token}") == 200
    assert edge.status("/anybody", Cookie=f"token={token}") == 200
    assert edge.status("/anybody", token) == 401
    assert edge.status("/anybody?token=nonsense") == 401


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, 200),
        ({"group": "beta"}, 201),
        ({"group": ["alpha", "beta"]}, 201),
        ({"group": "alpha"}, 200),
        ({"realm": {"roles": ["reader", "writer"]}}, 202),
        ({"realm": {"size": "3"}}, 203),
    ],
)
def test_routes_are_chosen_by_claims(edge: Edge, claims: dict[str, Any], expected: int) -> None:
    assert edge.status("/routed", edge.one.token(aud="kv", **claims)) == expected
    assert edge.status("/routed") == 200


def test_a_claim_can_exclude_a_route(edge: Edge) -> None:
    assert edge.status("/routed/out", edge.one.token(aud="kv")) == 204
    assert edge.status("/routed/out", edge.one.token(aud="kv", sub="bob")) == 200
    assert edge.status("/routed/out") == 204


def test_preflight_requests_need_no_token(edge: Edge) -> None:
    headers = {"Origin": "https://a", "Access-Control-Request-Method": "GET"}

    assert edge.status("/open", "nonsense", "OPTIONS", **headers) == 200
