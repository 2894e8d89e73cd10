"""Traffic policies: of a host, of its ports, of subsets; and what only some proxies apply."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.envoy.proxy import Proxy
from rollout.envoy.translation import translate
from tests.rollout.envoy.callers import EDGE, IN_SHOP
from tests.rollout.envoy.example_mesh import (
    STABLE,
    WHOLE,
    destination_rule,
    documents,
    read_objects,
    virtual_service,
)
from tests.rollout.envoy.test_clusters import BARE

RANDOM = "loadBalancer: {simple: RANDOM}"
RETRIES = "connectionPool: {http: {maxRetries: 1}}"


def cluster(policy: str, subset: str = "", name: str = STABLE, proxy: Proxy = EDGE) -> Any:
    objects = read_objects(documents(BARE, destination_rule(policy, subset)))
    [found] = [each.resource for each in translate(objects, proxy).clusters if each.name == name]
    return found


def port(policy: str, number: int = 8080) -> str:
    return f"portLevelSettings: [{{port: {{number: {number}}}, {policy}}}]"


@pytest.mark.parametrize(
    ("host", "subset", "balancing", "retries"),
    [
        (f"{{{RANDOM}, {RETRIES}}}", "", "RANDOM", 1),
        # A port's policy replaces all of the host's, also what it leaves out.
        (f"{{{RANDOM}, {port(RETRIES)}}}", "", "LEAST_REQUEST", 1),
        (f"{{{RANDOM}, {port(RETRIES, 8081)}}}", "", "RANDOM", 2**32 - 1),
        # A subset's policy replaces only what it has.
        (f"{{{RANDOM}}}", f"{{{RETRIES}}}", "RANDOM", 1),
        (f"{{{port(RANDOM)}}}", f"{{{RETRIES}}}", "RANDOM", 1),
        # Unless it is for a port.
        (f"{{{RANDOM}}}", f"{{{port(RETRIES)}}}", "LEAST_REQUEST", 1),
    ],
)
def test_the_policy_of_a_port_stands_alone(
    host: str, subset: str, balancing: str, retries: int
) -> None:
    found = cluster(host, subset)

    assert found["lb_policy"] == balancing
    assert found["circuit_breakers"]["thresholds"][0]["max_retries"] == retries


@pytest.mark.parametrize(
    ("balancer", "fields"),
    [
        ("{simple: LEAST_CONN}", {"lb_policy": "LEAST_REQUEST"}),
        (
            "{simple: ROUND_ROBIN, warmupDurationSecs: 7s}",
            {"round_robin_lb_config": {"slow_start_config": {"slow_start_window": "7s"}}},
        ),
        (
            "{warmup: {duration: 7s, aggression: 2}}",
            {
                "least_request_lb_config": {
                    "slow_start_config": {
                        "slow_start_window": "7s",
                        "aggression": {"default_value": 2.0, "runtime_key": "("},
                        "min_weight_percent": {"value": 10.0},
                    }
                }
            },
        ),
        (
            "{consistentHash: {useSourceIp: true, maglev: {tableSize: 7}}}",
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 7}},
        ),
        ("{consistentHash: {useSourceIp: true, ringHash: {}}}", {"lb_policy": "RING_HASH"}),
    ],
)
def test_balancers_are_translated(balancer: str, fields: dict[str, Any]) -> None:
    found = cluster(f"{{loadBalancer: {balancer}}}")

    assert {name: found.get(name) for name in fields} == fields


def test_a_retry_budget_has_istio_s_defaults() -> None:
    [threshold] = cluster("{retryBudget: {}}")["circuit_breakers"]["thresholds"]

    assert threshold["retry_budget"] == {
        "budget_percent": {"value": 0.2},
        "min_retry_concurrency": 3,
    }


def hashed(policy: str, subset: str, destination: str) -> Any:
    rules = f"- route: [{{destination: {{host: kv, {destination}}}}}]"
    text = virtual_service(rules).replace("[edge, mesh]", "[mesh]")
    objects = read_objects(documents(BARE, destination_rule(policy, subset), text))
    hosts = translate(objects, IN_SHOP).hosts[8080]
    [host] = [each for each in hosts if "kv" in each["domains"]]
    action = host["routes"][0]["route"]
    keys = [next(iter(each.values())) for each in action.get("hash_policy", [])]
    return keys, "retry_host_predicate" in action["retry_policy"]


def by(header: str) -> str:
    return f"loadBalancer: {{consistentHash: {{httpHeaderName: {header}}}}}"


@pytest.mark.parametrize(
    ("host", "subset", "destination", "header"),
    [
        (f"{{{by('a')}}}", "", "subset: stable", "a"),
        (f"{{{by('a')}}}", f"{{{RANDOM}}}", "subset: stable", "a"),
        (f"{{{by('a')}}}", f"{{{by('b')}}}", "subset: stable", "b"),
        (f"{{{by('a')}, {port(by('c'))}}}", "", "port: {number: 8080}", "c"),
        # Only a port that the route names counts.
        (f"{{{by('a')}, {port(by('c'))}}}", "", "subset: stable", "a"),
        (f"{{{RANDOM}}}", f"{{{by('b')}}}", "port: {number: 8080}", None),
    ],
)
def test_the_nearest_hash_of_a_destination_counts(
    host: str, subset: str, destination: str, header: str | None
) -> None:
    keys, other_pod = hashed(host, subset, destination)

    assert keys == ([{"header_name": header}] if header else [])
    assert other_pod is (header is None)


def tls_of(policy: str, proxy: Proxy) -> Any:
    found = cluster(f"{{tls: {policy}}}", name=WHOLE, proxy=proxy)
    socket = found.get("transport_socket")
    return socket and socket["typed_config"]


def test_without_a_policy_pods_with_a_sidecar_get_mutual_tls() -> None:
    found = cluster(f"{{{RANDOM}}}", name=WHOLE)["transport_socket_matches"]

    assert [each["match"] for each in found] == [{"tlsMode": "istio"}, {}]
    config = found[0]["transport_socket"]["typed_config"]
    assert config["sni"] == "outbound_.8080_._.kv.shop.svc.cluster.local"


def test_a_policy_decides_for_all_pods() -> None:
    assert tls_of("{mode: DISABLE}", EDGE) is None
    assert tls_of("{mode: ISTIO_MUTUAL, sni: a.org}", EDGE)["sni"] == "a.org"
    simple = tls_of("{mode: SIMPLE, caCertificates: /ca.pem}", EDGE)
    trust = simple["common_tls_context"]["combined_validation_context"]
    assert trust["validation_context_sds_secret_config"]["name"] == "file-root:/ca.pem"


def test_a_secret_is_read_by_gateways_only() -> None:
    mutual = "{mode: MUTUAL, credentialName: c}"

    [certificate] = tls_of(mutual, EDGE)["common_tls_context"]["tls_certificate_sds_secret_configs"]
    assert certificate["name"] == "kubernetes://c"
    assert tls_of(mutual, IN_SHOP) is None
    assert "transport_socket_matches" not in cluster(
        f"{{tls: {mutual}}}", name=WHOLE, proxy=IN_SHOP
    )


def test_a_namespace_without_mutual_tls_gets_none() -> None:
    text = """
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {name: default, namespace: shop}
        spec: {mtls: {mode: DISABLE}}
    """
    objects = read_objects(documents(BARE, text))

    [found] = translate(objects, EDGE).clusters
    assert "transport_socket_matches" not in found.resource
