"""Route actions: destinations, weights, mirrors, retries, faults, direct responses, hashes."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.rollout.envoy.example_mesh import (
    CANARY,
    EDGE_GATEWAY,
    KV_MANIFESTS,
    ONE,
    STABLE,
    WHOLE,
    action,
    destination_rule,
    routes_of,
    rule,
    translated,
    virtual_hosts,
    virtual_service,
)

TWO: Final = """
- route:
    - {destination: {host: kv, subset: stable}, weight: %d}
    - {destination: {host: kv, subset: canary}, weight: %d}
"""
DEFAULT_CONDITIONS: Final = (
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
)


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        ("{host: kv}", WHOLE),
        ("{host: kv.shop.svc.cluster.local, subset: canary}", CANARY),
        ("{host: kv, port: {number: 9}}", "outbound|9||kv.shop.svc.cluster.local"),
        ("{host: kv.shop}", "outbound|8080||kv.shop"),
        ("{host: nobody}", "outbound|8080||nobody.shop.svc.cluster.local"),
    ],
)
def test_a_destination_is_a_cluster(destination: str, cluster: str) -> None:
    assert action(f"- route: [{{destination: {destination}}}]")["cluster"] == cluster


def test_without_a_port_a_service_with_several_uses_the_listener_s() -> None:
    two = "spec: {selector: {app: kv}, ports: [{port: 1, name: http-a}, {port: 2, name: http-b}]}"
    service = f"{{apiVersion: v1, kind: Service, metadata: {{name: kv}}, {two}}}"

    [route] = routes_of(
        service, virtual_service("- route: [{destination: {host: kv}}]"), host="kv:2"
    )

    assert route["route"]["cluster"] == "outbound|2||kv.shop.svc.cluster.local"


def test_without_a_port_the_only_port_of_the_service_is_used() -> None:
    text = virtual_service("- route: [{destination: {host: kv}}]", "[kv.example.com]")

    hosts = virtual_hosts(translated(KV_MANIFESTS, EDGE_GATEWAY, text), "http.80")

    assert hosts["kv.example.com"]["routes"][0]["route"]["cluster"] == WHOLE


def test_an_external_name_service_leads_to_its_target() -> None:
    alias = """
        apiVersion: v1
        kind: Service
        metadata: {name: old}
        spec:
          type: ExternalName
          externalName: kv.shop.svc.cluster.local
          ports: [{port: 8080, name: http}]
    """

    assert action("- route: [{destination: {host: old}}]", KV_MANIFESTS, alias)["cluster"] == WHOLE


@pytest.mark.parametrize("weight", [0, 1, 100])
def test_a_single_destination_gets_everything(weight: int) -> None:
    found = action(f"- route: [{{destination: {{host: kv}}, weight: {weight}}}]")

    assert found["cluster"] == WHOLE
    assert "weighted_clusters" not in found


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ((90, 10), {STABLE: 90, CANARY: 10}),
        ((1, 2), {STABLE: 1, CANARY: 2}),
        ((0, 100), {CANARY: 100}),
        ((100, 0), {STABLE: 100}),
    ],
)
def test_weights_are_kept_and_weight_zero_is_omitted(
    weights: tuple[int, int], shares: dict[str, int]
) -> None:
    clusters = action(TWO % weights)["weighted_clusters"]["clusters"]

    assert {each["name"]: each["weight"] for each in clusters} == shares


@pytest.mark.parametrize(
    ("text", "envoy"), [("", "0s"), ("7s", "7s"), ("25ms", "0.025s"), ("1m", "60s")]
)
def test_without_a_timeout_none_ends_the_request(text: str, envoy: str) -> None:
    assert action(f"{ONE}  timeout: {text}" if text else ONE)["timeout"] == envoy


def test_the_default_retries_are_istio_s() -> None:
    retries = action(ONE)["retry_policy"]

    assert retries["num_retries"] == 2
    assert retries["retry_on"] == DEFAULT_CONDITIONS
    assert retries["host_selection_retry_max_attempts"] == 5
    assert [each["name"] for each in retries["retry_host_predicate"]] == [
        "envoy.retry_host_predicates.previous_hosts"
    ]
    # Istio 1.24 removed 503 from the default.
    assert "retriable_status_codes" not in retries


def test_no_attempts_are_no_retries() -> None:
    assert "retry_policy" not in action(f"{ONE}  retries: {{attempts: 0}}")


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        ("{attempts: 3}", {"num_retries": 3, "retry_on": DEFAULT_CONDITIONS}),
        (
            "{attempts: 1, retryOn: 'reset,503,429'}",
            {
                "retry_on": "reset,retriable-status-codes",
                "retriable_status_codes": [503, 429],
            },
        ),
        (
            "{attempts: 1, retryOn: '503'}",
            {"retry_on": "retriable-status-codes", "retriable_status_codes": [503]},
        ),
        (
            "{attempts: 1, retryOn: 'retriable-status-codes,502'}",
            {"retry_on": "retriable-status-codes", "retriable_status_codes": [502]},
        ),
        ("{attempts: 1, perTryTimeout: 2s}", {"per_try_timeout": "2s"}),
        ("{attempts: 1, backoff: 25ms}", {"retry_back_off": {"base_interval": "0.025s"}}),
    ],
)
def test_the_route_s_own_retries_are_used(text: str, envoy: dict[str, Any]) -> None:
    retries = action(f"{ONE}  retries: {text}")["retry_policy"]

    assert envoy.items() <= retries.items()


@pytest.mark.parametrize(
    ("retries", "other_host"),
    [
        ("{attempts: 1}", True),
        ("{attempts: 1, retryIgnorePreviousHosts: true}", True),
        ("{attempts: 1, retryIgnorePreviousHosts: false}", False),
    ],
)
def test_a_retry_goes_to_another_pod_unless_disabled(retries: str, other_host: bool) -> None:
    found = action(f"{ONE}  retries: {retries}")["retry_policy"]

    assert ("retry_host_predicate" in found) is other_host


@pytest.mark.parametrize(
    ("text", "numerators"),
    [
        ("mirror: {host: kv, subset: canary}", [1_000_000]),
        ("mirror: {host: kv, subset: canary}\n  mirrorPercentage: {value: 0.5}", [5_000]),
        ("mirror: {host: kv, subset: canary}\n  mirrorPercentage: {value: 0}", []),
        ("mirrors: [{destination: {host: kv, subset: canary}}]", [1_000_000]),
        (
            """mirrors:
    - {destination: {host: kv, subset: canary}, percentage: {value: 10}}
    - {destination: {host: kv, subset: canary}, percentage: {value: 0}}""",
            [100_000],
        ),
    ],
)
def test_mirrors_have_their_percentage(text: str, numerators: list[int]) -> None:
    policies = action(f"{ONE}  {text}").get("request_mirror_policies", [])

    assert [each["runtime_fraction"]["default_value"] for each in policies] == [
        {"numerator": numerator, "denominator": "MILLION"} for numerator in numerators
    ]
    for each in policies:
        assert each["cluster"] == CANARY
        assert each["trace_sampled"] is False
        assert each["disable_shadow_host_suffix_append"] is True


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        ("{status: 503}", {"status": 503}),
        ("{status: 200, body: {string: ok}}", {"status": 200, "body": {"inline_string": "ok"}}),
        ("{status: 200, body: {bytes: b2s=}}", {"status": 200, "body": {"inline_bytes": "b2s="}}),
    ],
)
def test_direct_responses_are_translated(text: str, envoy: dict[str, Any]) -> None:
    assert rule(f"- directResponse: {text}")["direct_response"] == envoy


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        (
            "{delay: {fixedDelay: 2s, percentage: {value: 100}}}",
            {"delay": {"fixed_delay": "2s", "percentage": 1_000_000}},
        ),
        ("{delay: {fixedDelay: 2s}}", {"delay": {"fixed_delay": "2s", "percentage": 0}}),
        (
            "{abort: {httpStatus: 503, percentage: {value: 0.1}}}",
            {"abort": {"http_status": 503, "percentage": 1_000}},
        ),
        ("{abort: {httpStatus: 503}}", {"abort": {"http_status": 503, "percentage": 0}}),
        (
            "{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 50}}}",
            {"abort": {"grpc_status": 14, "percentage": 500_000}},
        ),
    ],
)
def test_a_fault_without_a_percentage_has_zero_percent(text: str, envoy: dict[str, Any]) -> None:
    for each in envoy.values():
        each["percentage"] = {"numerator": each["percentage"], "denominator": "MILLION"}

    found = rule(f"{ONE}  fault: {text}")["typed_per_filter_config"]["envoy.filters.http.fault"]

    assert envoy.items() <= found.items()
    assert len(found) == 1 + len(envoy)


def test_a_cors_policy_becomes_the_filter_s_settings() -> None:
    text = f"""{ONE}  corsPolicy:
    allowOrigins: [{{exact: 'https://a'}}, {{regex: 'https://.*'}}]
    allowMethods: [GET, POST]
    allowHeaders: [x-a, x-b]
    exposeHeaders: [x-c]
    maxAge: 24h
    allowCredentials: true
    unmatchedPreflights: IGNORE
"""

    found = rule(text)["typed_per_filter_config"]["envoy.filters.http.cors"]

    assert found["allow_origin_string_match"] == [
        {"exact": "https://a"},
        {"safe_regex": {"regex": "https://.*"}},
    ]
    assert found["allow_methods"] == "GET,POST"
    assert found["allow_headers"] == "x-a,x-b"
    assert found["expose_headers"] == "x-c"
    assert found["max_age"] == "86400"
    assert found["allow_credentials"] is True
    assert found["forward_not_matching_preflights"] is False


HASHED: Final = "{loadBalancer: {consistentHash: %s}}"


@pytest.mark.parametrize(
    ("text", "envoy"),
    [
        ("{httpHeaderName: x-user}", {"header": {"header_name": "x-user"}}),
        (
            "{httpCookie: {name: pin, ttl: 0s, path: /}}",
            {"cookie": {"name": "pin", "ttl": "0s", "path": "/"}},
        ),
        ("{httpCookie: {name: pin}}", {"cookie": {"name": "pin"}}),
    ],
)
def test_the_route_has_the_hash_policy(text: str, envoy: dict[str, Any]) -> None:
    hashed = destination_rule(HASHED % text)
    shop = KV_MANIFESTS.rpartition("---")[0]

    found = action(ONE, shop, hashed)
    [plain] = routes_of(shop, hashed)

    assert found["hash_policy"] == [envoy]
    # With a consistent hash, a retry may go to the same pod.
    assert "retry_host_predicate" not in found["retry_policy"]
    assert plain["route"]["hash_policy"] == [envoy]


def test_each_destination_adds_its_hash_policy() -> None:
    hashed = destination_rule(HASHED % "{httpHeaderName: x-user}")
    text = """
    - route:
        - {destination: {host: kv, subset: stable}, weight: 1}
        - {destination: {host: kv}, weight: 1}
    """

    found = action(text, KV_MANIFESTS.rpartition("---")[0], hashed)

    assert len(found["hash_policy"]) == 2
    assert "retry_host_predicate" in found["retry_policy"]
