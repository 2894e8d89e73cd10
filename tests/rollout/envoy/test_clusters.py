"""Clusters: their traffic policies and their endpoints."""

from __future__ import annotations

from typing import Any, Final

import pytest

from rollout.envoy.configuration import Address, LocalAddresses, PodPort, Resource
from rollout.envoy.resource_names import stat_name
from tests.rollout.envoy.example_mesh import (
    CANARY,
    KV_MANIFESTS,
    STABLE,
    WHOLE,
    cluster,
    cluster_names,
    configured,
    destination_rule,
    documents,
    read_objects,
    translated,
    virtual_hosts,
)

#: The Service and its workloads, without a DestinationRule.
BARE: Final = KV_MANIFESTS.rpartition("---")[0]
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
UNLIMITED: Final = 4294967295


def service(name: str, *ports: str) -> str:
    listed = ", ".join(f"{{{each}}}" for each in ports)
    return f"""
        apiVersion: v1
        kind: Service
        metadata: {{name: {name}}}
        spec: {{selector: {{app: kv}}, ports: [{listed}]}}
    """


def cluster_with(policy: str, subset_policy: str = "", name: str = STABLE) -> Resource:
    return cluster(translated(BARE, destination_rule(policy, subset_policy)), name)


UDP: Final = "port: 91, name: dns, protocol: UDP"


def test_each_port_has_a_cluster_and_each_subset_one_more() -> None:
    configuration = translated(
        KV_MANIFESTS, service("two", "port: 80, name: http-a", "port: 90, name: tcp-b", UDP)
    )

    assert cluster_names(configuration) == [
        WHOLE,
        STABLE,
        CANARY,
        "outbound|80||two.shop.svc.cluster.local",
        "outbound|90||two.shop.svc.cluster.local",
    ]


@pytest.mark.parametrize(
    ("port", "http", "http2"),
    [
        ("port: 1, name: http", True, False),
        ("port: 1, name: http-metrics", True, False),
        ("port: 1, name: metrics", True, False),
        ("port: 1, name: tcp-http, appProtocol: http", True, False),
        ("port: 1, appProtocol: kubernetes.io/ws", True, False),
        ("port: 1, name: grpc-web-a", True, True),
        ("port: 1, name: GRPC", True, True),
        ("port: 1, appProtocol: http2", True, True),
        ("port: 1, appProtocol: kubernetes.io/h2c", True, True),
        ("port: 1, name: http, appProtocol: tcp", False, False),
        ("port: 1, name: redis", False, False),
        ("port: 1, name: https", False, False),
        ("port: 1, name: http, protocol: UDP", False, False),
        ("port: 3306, name: db", False, False),
        ("port: 3306, name: http-db", True, False),
    ],
)
def test_the_protocol_of_a_port_is_selected_as_istio_does(
    port: str, http: bool, http2: bool
) -> None:
    configuration = translated(service("one", port))

    assert ("one" in virtual_hosts(configuration, "mesh")) is http
    for found in configuration.clusters:
        assert (HTTP_OPTIONS in found.get("typed_extension_protocol_options", {})) is http2


def test_statistics_have_names_without_dots_and_bars() -> None:
    assert (
        cluster(translated(KV_MANIFESTS), STABLE)["alt_stat_name"] == "outbound_8080_stable_kv_shop"
    )
    assert stat_name(WHOLE) == "outbound_8080_kv_shop"
    assert stat_name("outbound|80||api.example.org") == "outbound_80_api_example_org"


def test_without_a_rule_istio_s_defaults_hold() -> None:
    found = cluster(translated(BARE), WHOLE)

    assert found["type"] == "EDS"
    assert found["connect_timeout"] == "10s"
    assert found["lb_policy"] == "LEAST_REQUEST"
    assert found["circuit_breakers"]["thresholds"] == [
        {
            "max_connections": UNLIMITED,
            "max_pending_requests": UNLIMITED,
            "max_requests": UNLIMITED,
            "max_retries": UNLIMITED,
            "track_remaining": True,
        }
    ]
    assert "outlier_detection" not in found
    assert "common_lb_config" not in found


@pytest.mark.parametrize(
    ("policy", "envoy"),
    [
        ("{simple: ROUND_ROBIN}", {"lb_policy": "ROUND_ROBIN"}),
        ("{simple: RANDOM}", {"lb_policy": "RANDOM"}),
        ("{simple: UNSPECIFIED}", {"lb_policy": "LEAST_REQUEST"}),
        (
            "{consistentHash: {httpHeaderName: x}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}},
        ),
        (
            "{consistentHash: {httpHeaderName: x, minimumRingSize: 8}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 8}},
        ),
        (
            "{consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 16}}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 16}},
        ),
    ],
)
def test_load_balancers_are_translated(policy: str, envoy: dict[str, Any]) -> None:
    assert envoy.items() <= cluster_with(f"{{loadBalancer: {policy}}}").items()


def test_connection_limits_are_translated() -> None:
    found = cluster_with(
        "{connectionPool: {tcp: {maxConnections: 1, connectTimeout: 250ms},"
        " http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4}}}"
    )

    assert found["connect_timeout"] == "0.25s"
    assert found["circuit_breakers"]["thresholds"] == [
        {
            "max_connections": 1,
            "max_pending_requests": 2,
            "max_requests": 3,
            "max_retries": 4,
            "track_remaining": True,
        }
    ]


def test_a_limit_of_zero_is_none() -> None:
    found = cluster_with("{connectionPool: {http: {maxRetries: 0}}}")

    assert found["circuit_breakers"]["thresholds"][0]["max_retries"] == UNLIMITED


@pytest.mark.parametrize(
    ("pool", "common", "http2"),
    [
        ("{http: {idleTimeout: 600s}}", {"idle_timeout": "600s"}, None),
        ("{tcp: {idleTimeout: 0s}}", {"idle_timeout": "0s"}, None),
        ("{http: {idleTimeout: 1s}, tcp: {idleTimeout: 2s}}", {"idle_timeout": "1s"}, None),
        ("{http: {maxRequestsPerConnection: 9}}", {"max_requests_per_connection": 9}, None),
        ("{tcp: {maxConnectionDuration: 1h}}", {"max_connection_duration": "3600s"}, None),
        (
            "{http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 7}}",
            None,
            {"max_concurrent_streams": 7},
        ),
    ],
)
def test_http_options_of_connections_are_translated(
    pool: str, common: dict[str, Any] | None, http2: dict[str, Any] | None
) -> None:
    found = cluster_with(f"{{connectionPool: {pool}}}")["typed_extension_protocol_options"][
        HTTP_OPTIONS
    ]

    assert found.get("common_http_protocol_options") == common
    assert found["explicit_http_config"] == (
        {"http_protocol_options": {}} if http2 is None else {"http2_protocol_options": http2}
    )


def test_streams_are_limited_where_a_port_speaks_http2() -> None:
    limited = destination_rule("{connectionPool: {http: {maxConcurrentStreams: 7}}}")

    [found, _] = translated(service("kv", "port: 1, name: grpc"), limited).clusters

    options = found["typed_extension_protocol_options"][HTTP_OPTIONS]
    assert options["explicit_http_config"] == {
        "http2_protocol_options": {"max_concurrent_streams": 7}
    }


def test_tcp_keepalive_is_translated() -> None:
    found = cluster_with("{connectionPool: {tcp: {tcpKeepalive: {probes: 3, time: 7200s}}}}")

    assert found["upstream_connection_options"] == {
        "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 7200}
    }


def test_outlier_detection_is_translated() -> None:
    found = cluster_with(
        "{outlierDetection: {consecutive5xxErrors: 5, consecutiveGatewayErrors: 0, interval: 10s,"
        " baseEjectionTime: 30s, maxEjectionPercent: 50, minHealthPercent: 20}}"
    )

    assert found["outlier_detection"] == {
        "enforcing_success_rate": 0,
        "consecutive_5xx": 5,
        "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "interval": "10s",
        "base_ejection_time": "30s",
        "max_ejection_percent": 50,
    }
    assert found["common_lb_config"] == {"healthy_panic_threshold": {"value": 20}}


def test_ejected_pods_get_no_requests_if_no_others_are_left() -> None:
    found = cluster_with("{outlierDetection: {consecutive5xxErrors: 5}}")

    assert found["common_lb_config"] == {"healthy_panic_threshold": {"value": 0}}
    assert found["outlier_detection"]["max_ejection_percent"] == 10


def test_a_subset_s_policy_replaces_the_host_s_block_by_block() -> None:
    host = "{loadBalancer: {simple: RANDOM}, connectionPool: {http: {maxRetries: 4}}}"
    subset = "{connectionPool: {tcp: {maxConnections: 1}}}"

    found = cluster_with(host, subset)

    assert found["lb_policy"] == "RANDOM"
    thresholds = found["circuit_breakers"]["thresholds"][0]
    assert (thresholds["max_connections"], thresholds["max_retries"]) == (1, UNLIMITED)
    whole = cluster_with(host, subset, WHOLE)["circuit_breakers"]["thresholds"][0]
    assert (whole["max_connections"], whole["max_retries"]) == (UNLIMITED, 4)


def test_of_several_rules_for_a_host_the_first_policy_counts_and_all_subsets() -> None:
    more = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: more}
        spec:
          host: kv.shop.svc.cluster.local
          trafficPolicy: {loadBalancer: {simple: RANDOM}}
          subsets: [{name: stable, labels: {other: label}}, {name: late, labels: {track: late}}]
    """

    configuration = translated(
        BARE, destination_rule("{loadBalancer: {simple: ROUND_ROBIN}}"), more
    )

    late = "outbound|8080|late|kv.shop.svc.cluster.local"
    assert cluster_names(configuration) == [WHOLE, STABLE, late]
    assert cluster(configuration, late)["lb_policy"] == "ROUND_ROBIN"
    assert addresses(configuration.load_assignments[STABLE])


@pytest.mark.parametrize(
    ("hosts", "policy"),
    [
        (["'*.shop.svc.cluster.local'"], "RANDOM"),
        (["'*.svc.cluster.local'", "'*.shop.svc.cluster.local'"], "ROUND_ROBIN"),
        (["'*.other.svc.cluster.local'"], "LEAST_REQUEST"),
        (["kv", "'*.shop.svc.cluster.local'"], "RANDOM"),
    ],
)
def test_the_narrowest_rule_counts(hosts: list[str], policy: str) -> None:
    rules = [
        f"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: rule-{simple.lower().replace("_", "-")}}}
        spec: {{host: {host}, trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}}}
        """
        for host, simple in zip(hosts, ("RANDOM", "ROUND_ROBIN"), strict=False)
    ]

    assert cluster(translated(BARE, *rules), WHOLE)["lb_policy"] == policy


def addresses(assignment: Resource) -> list[int]:
    """Return the ports of a cluster's endpoints."""
    return [
        endpoint["endpoint"]["address"]["socket_address"]["port_value"]
        for group in assignment["endpoints"]
        for endpoint in group["lb_endpoints"]
    ]


PODS: Final = {
    PodPort("shop", "kv-stable", 8000): (Address("127.0.0.1", 1), Address("127.0.0.1", 2)),
    PodPort("shop", "kv-canary", 8000): (Address("127.0.0.1", 3),),
    PodPort("shop", "kv-canary", 8001): (Address("127.0.0.1", 4),),
    PodPort("other", "kv-stable", 8000): (Address("127.0.0.1", 5),),
}


def assigned(*texts: str) -> dict[str, list[int]]:
    objects = read_objects(documents(*texts))
    found = configured(objects, LocalAddresses(PODS, {})).load_assignments
    assert all(each["cluster_name"] == name for name, each in found.items())
    return {name: addresses(each) for name, each in found.items()}


def test_a_cluster_has_the_pods_that_service_and_subset_select() -> None:
    assert assigned(KV_MANIFESTS) == {WHOLE: [1, 2, 3], STABLE: [1, 2], CANARY: [3]}


def test_a_misspelt_label_leaves_a_cluster_empty() -> None:
    assert assigned(KV_MANIFESTS.replace("{track: canary}}\n", "{track: cannary}}\n"))[CANARY] == []


def test_a_port_without_that_name_has_no_endpoints() -> None:
    assert assigned(KV_MANIFESTS.replace("targetPort: http", "targetPort: web"))[WHOLE] == []


def test_a_target_port_by_number_need_not_be_declared() -> None:
    assert assigned(KV_MANIFESTS.replace("targetPort: http", "targetPort: 8001"))[WHOLE] == [4]


def test_pods_of_another_namespace_are_not_the_service_s() -> None:
    other = KV_MANIFESTS.replace("{name: kv-stable}", "{name: kv-stable, namespace: other}")

    assert assigned(other)[WHOLE] == [3]


def test_a_service_without_a_selector_selects_nothing() -> None:
    assert assigned(KV_MANIFESTS.replace("  selector: {app: kv}\n", ""))[WHOLE] == []
