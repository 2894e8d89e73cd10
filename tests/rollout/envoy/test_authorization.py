"""AuthorizationPolicies as rules of Envoy's RBAC filter, as istiod builds them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rollout.envoy.configuration import Resource
from rollout.envoy.proxy import GATEWAY_NAME, Proxy
from rollout.envoy.request_policies import request_filters
from tests.rollout.envoy.example_mesh import documents, read_objects

LABELS = {"app": "kv", "track": "stable"}


def policy(spec: str, name: str = "a", namespace: str = "shop", annotations: str = "{}") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}
spec: {spec}
"""


def filters(*texts: str, labels: dict[str, str] | None = None) -> list[tuple[str, list[str]]]:
    """Return the action of each filter for a pod of ``shop``, and the names of its policies."""
    found = request_filters(read_objects(documents(*texts)), "shop", labels or LABELS)
    rules = [each["typed_config"]["rules"] for each in found]
    return [(each["action"], [*each["policies"]]) for each in rules]


def rule(text: str, namespace: str = "shop") -> Resource:
    """Return Envoy's policy for a rule."""
    objects = read_objects(documents(policy(f"{{rules: [{text}]}}", namespace=namespace)))
    [found] = request_filters(objects, namespace, LABELS)
    [built] = found["typed_config"]["rules"]["policies"].values()
    return built  # type: ignore[no-any-return]


def permissions(text: str) -> list[Any]:
    """Return what the first operation of a rule demands."""
    found: list[Any] = rule(text)["permissions"][0]["and_rules"]["rules"]
    return found


def principals(text: str) -> list[Any]:
    """Return what the first source of a rule demands."""
    found: list[Any] = rule(text)["principals"][0]["and_ids"]["ids"]
    return found


def built(text: str) -> Any:
    """Read a matcher in YAML."""
    return yaml.safe_load(text)


@pytest.mark.parametrize(
    ("field", "value", "matcher"),
    [
        (
            "hosts",
            "a.org",
            "{header: {name: ':authority', string_match: {exact: a.org,ignore_case: true}}}",
        ),
        (
            "hosts",
            "'*.a.org'",
            "{header: {name: ':authority', string_match: {suffix: .a.org,ignore_case: true}}}",
        ),
        ("hosts", "'*'", "{header: {name: ':authority', present_match: true}}"),
        ("methods", "GET", "{header: {name: ':method', string_match: {exact: GET}}}"),
        ("methods", "'P*'", "{header: {name: ':method', string_match: {prefix: P}}}"),
        ("paths", "/a", "{url_path: {path: {exact: /a}}}"),
        ("paths", "'/a/*'", "{url_path: {path: {prefix: /a/}}}"),
        ("paths", "'*/a'", "{url_path: {path: {suffix: /a}}}"),
        ("paths", "'*'", "{url_path: {path: {safe_regex: {regex: .+}}}}"),
        ("ports", "'80'", "{destination_port: 80}"),
    ],
)
def test_an_operation_lists_what_is_wanted_and_what_is_not(
    field: str, value: str, matcher: str
) -> None:
    negated = f"not{field[0].upper()}{field[1:]}"

    found = permissions(
        f"{{to: [{{operation: {{{field}: [{value}, {value}], {negated}: [{value}]}}}}]}}"
    )

    one = built(matcher)
    assert found == [
        {"or_rules": {"rules": [one, one]}},
        {"not_rule": {"or_rules": {"rules": [one]}}},
    ]


@pytest.mark.parametrize(
    ("path", "template"),
    [("/a/{*}/b", "/a/*/b"), ("/a/{**}", "/a/**"), ("/{**}/a", "/**/a")],
)
def test_a_template_of_paths_is_envoys(path: str, template: str) -> None:
    [found] = permissions(f"{{to: [{{operation: {{paths: ['{path}']}}}}]}}")

    [one] = found["or_rules"]["rules"]
    assert one["uri_template"]["typed_config"]["path_template"] == template


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("principals", "td/ns/a/sa/b", "{exact: 'spiffe://td/ns/a/sa/b'}"),
        ("principals", "'td/ns/a/*'", "{prefix: 'spiffe://td/ns/a/'}"),
        ("principals", "'*/sa/b'", "{safe_regex: {regex: 'spiffe://.*/sa/b'}}"),
        ("principals", "'*'", "{safe_regex: {regex: .+}}"),
        ("namespaces", "a", "{safe_regex: {regex: '.*/ns/a/.*'}}"),
        ("namespaces", "'a-*'", "{safe_regex: {regex: '.*/ns/a-.*/.*'}}"),
        ("serviceAccounts", "b", "{safe_regex: {regex: 'spiffe://.+/ns/shop/(.+/|)sa/b(/.+)?'}}"),
        ("serviceAccounts", "a/b", "{safe_regex: {regex: 'spiffe://.+/ns/a/(.+/|)sa/b(/.+)?'}}"),
    ],
)
def test_a_caller_is_known_by_the_name_in_its_certificate(
    field: str, value: str, name: str
) -> None:
    negated = f"not{field[0].upper()}{field[1:]}"
    one = {"authenticated": {"principal_name": built(name)}}

    found = principals(f"{{from: [{{source: {{{field}: [{value}], {negated}: [{value}]}}}}]}}")

    assert found == [{"or_ids": {"ids": [one]}}, {"not_id": {"or_ids": {"ids": [one]}}}]


@pytest.mark.parametrize(
    ("field", "key"), [("ipBlocks", "direct_remote_ip"), ("remoteIpBlocks", "remote_ip")]
)
def test_addresses_are_ranges(field: str, key: str) -> None:
    [found] = principals(f"{{from: [{{source: {{{field}: [10.1.2.3, 10.0.0.0/8]}}}}]}}")

    assert [each[key] for each in found["or_ids"]["ids"]] == [
        {"address_prefix": "10.1.2.3", "prefix_len": 32},
        {"address_prefix": "10.0.0.0", "prefix_len": 8},
    ]


ANY: dict[str, Any] = {"safe_regex": {"regex": ".+"}}


@pytest.mark.parametrize(
    ("value", "issuer", "subject"),
    [
        ("*", ANY, ANY),
        ("https://a/b", {"exact": "https://a"}, {"exact": "b"}),
        ("https://a/*", {"exact": "https://a"}, ANY),
        ("https://a/b-*", {"exact": "https://a"}, {"prefix": "b-"}),
        ("*/b", ANY, {"exact": "b"}),
        ("*.org/b", {"suffix": ".org"}, {"exact": "b"}),
        ("*b", ANY, {"suffix": "b"}),
        ("a*", {"prefix": "a"}, ANY),
        ("a", {"exact": "a"}, {"exact": ""}),
    ],
)
def test_a_request_principal_is_an_issuer_and_a_subject(
    value: str, issuer: Any, subject: Any
) -> None:
    [found] = principals(f"{{from: [{{source: {{requestPrincipals: ['{value}']}}}}]}}")

    [one] = found["or_ids"]["ids"]
    claims = [each["metadata"] for each in one["and_ids"]["ids"]]
    assert {each["filter"] for each in claims} == {"envoy.filters.http.jwt_authn"}
    assert [
        ([key["key"] for key in each["path"]], each["value"]["string_match"]) for each in claims
    ] == [(["payload", "iss"], issuer), (["payload", "sub"], subject)]


def test_conditions_hold_for_every_operation_and_every_source() -> None:
    found = rule(
        "{from: [{source: {namespaces: [a]}}, {source: {namespaces: [b]}}],"
        " to: [{operation: {methods: [GET]}}, {operation: {methods: [PUT]}}],"
        " when: [{key: destination.port, values: ['80']},"
        " {key: 'request.headers[x-a]', notValues: ['1']}]}"
    )

    port = {"or_rules": {"rules": [{"destination_port": 80}]}}
    header = {"header": {"name": "x-a", "string_match": {"exact": "1"}}}
    assert [each["and_rules"]["rules"][-1] for each in found["permissions"]] == [port] * 2
    assert [each["and_ids"]["ids"][-1] for each in found["principals"]] == [
        {"not_id": {"or_ids": {"ids": [header]}}}
    ] * 2


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("request.auth.claims[group]", ["payload", "group"]),
        ("request.auth.claims[a][b]", ["payload", "a", "b"]),
        ("request.auth.audiences", ["payload", "aud"]),
        ("request.auth.presenter", ["payload", "azp"]),
    ],
)
def test_a_claim_is_one_value_or_a_list(key: str, path: list[str]) -> None:
    [found, refused] = principals(f"{{when: [{{key: '{key}', values: [x, z], notValues: [y]}}]}}")

    assert [each["key"] for each in found["metadata"]["path"]] == path
    values = [{"string_match": {"exact": each}} for each in ("x", "z")]
    one = {"or_match": {"value_matchers": values}}
    listed = {"list_match": {"one_of": one}}
    assert found["metadata"]["value"] == {"or_match": {"value_matchers": [listed, one]}}
    assert refused["not_id"]["metadata"]["path"] == found["metadata"]["path"]
    single = {"string_match": {"exact": "y"}}
    assert refused["not_id"]["metadata"]["value"] == {
        "or_match": {"value_matchers": [{"list_match": {"one_of": single}}, single]}
    }


@pytest.mark.parametrize(
    ("key", "value", "permission"),
    [
        (
            "destination.ip",
            "10.0.0.1",
            "{destination_ip: {address_prefix: 10.0.0.1, prefix_len: 32}}",
        ),
        ("connection.sni", "a.org", "{requested_server_name: {exact: a.org}}"),
        (
            "experimental.envoy.filters.a.b[c]",
            "x",
            (
                "{metadata: {filter: envoy.filters.a.b, path: [{key: c}],"
                " value: {string_match: {exact: x}}}}"
            ),
        ),
    ],
)
def test_conditions_on_the_destination_are_permissions(
    key: str, value: str, permission: str
) -> None:
    [found] = permissions(f"{{when: [{{key: '{key}', values: ['{value}']}}]}}")

    assert found == {"or_rules": {"rules": [built(permission)]}}


def test_filters_are_in_the_order_audit_deny_allow() -> None:
    texts = [
        policy("{rules: [{}]}", "allow"),
        policy("{action: DENY, rules: [{}, {}]}", "deny"),
        policy("{action: AUDIT, rules: [{}]}", "audit"),
        policy("{action: CUSTOM, provider: {name: x}, rules: [{}]}", "custom"),
    ]

    assert filters(*texts) == [
        ("LOG", ["ns[shop]-policy[audit]-rule[0]"]),
        ("DENY", ["ns[shop]-policy[deny]-rule[0]", "ns[shop]-policy[deny]-rule[1]"]),
        ("ALLOW", ["ns[shop]-policy[allow]-rule[0]"]),
    ]


def test_a_policy_applies_to_its_namespace_its_selection_or_from_the_root_to_all() -> None:
    texts = [
        policy("{rules: [{}]}", "own"),
        policy("{rules: [{}]}", "other", "elsewhere"),
        policy("{rules: [{}]}", "root", "istio-system"),
        policy("{selector: {matchLabels: {track: stable}}, rules: [{}]}", "selected"),
        policy("{selector: {matchLabels: {track: canary}}, rules: [{}]}", "not-selected"),
        policy("{targetRefs: [{kind: Service, name: kv}], rules: [{}]}", "waypoint"),
        policy("{rules: [{}]}", "tried", annotations="{istio.io/dry-run: 'true'}"),
    ]

    [(action, names)] = filters(*texts)

    assert action == "ALLOW"
    assert [each.split("policy[")[1].split("]")[0] for each in names] == [
        "root",
        "own",
        "selected",
    ]


def test_a_target_is_a_gateway_of_the_gateway_api() -> None:
    reference = "{group: gateway.networking.k8s.io, kind: Gateway, name: edge}"
    text = policy(f"{{targetRefs: [{reference}], rules: [{{}}]}}")

    assert filters(text, labels={GATEWAY_NAME: "edge"})
    assert filters(text, labels={GATEWAY_NAME: "other"}) == filters(text) == []


@pytest.mark.parametrize(
    ("proxy", "identity"),
    [
        (
            Proxy.gateway({"istio": "ingressgateway"}),
            "istio-system/sa/istio-ingressgateway-service-account",
        ),
        (Proxy.gateway({GATEWAY_NAME: "kv"}, "istio-ingress"), "istio-ingress/sa/kv-istio"),
        (Proxy.gateway({}, "edge", "in"), "edge/sa/in"),
        (Proxy.sidecar("shop"), "shop/sa/default"),
    ],
)
def test_a_proxy_has_the_identity_of_its_account(proxy: Proxy, identity: str) -> None:
    assert proxy.identity == f"spiffe://cluster.local/ns/{identity}"


def test_an_allow_policy_without_rules_allows_nothing() -> None:
    [found] = request_filters(read_objects(documents(policy("{}"))), "shop", LABELS)

    assert found["typed_config"]["rules"] == {
        "action": "ALLOW",
        "policies": {
            "ns[shop]-policy[a]-rule[0]": {
                "permissions": [{"not_rule": {"any": True}}],
                "principals": [{"not_id": {"any": True}}],
            }
        },
    }
