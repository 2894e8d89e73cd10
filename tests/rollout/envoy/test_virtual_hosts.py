"""Virtual hosts: of Gateways, and for callers inside the mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from rollout.envoy.configuration import CertificateFiles, Resource
from tests.rollout.envoy.example_mesh import (
    EDGE_GATEWAY,
    KV_MANIFESTS,
    WHOLE,
    configured,
    documents,
    local_addresses,
    read_objects,
    translated,
    virtual_hosts,
    virtual_service,
)

ANSWER: Final = "- {name: %s, directResponse: {status: 200}}"


def gateway(hosts: str, more: str = "", *, name: str = "edge", port: int = 80) -> str:
    return f"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: {name}}}
        spec:
          servers:
            - {{hosts: {hosts}, port: {{number: {port}, name: a, protocol: HTTP}}{more}}}
    """


def bound(
    name: str, hosts: str, rules: str, gateways: str = "[edge]", namespace: str = "shop"
) -> str:
    head = virtual_service(rules, hosts).replace("[edge, mesh]", gateways)
    return head.replace("{name: kv}", f"{{name: {name}, namespace: {namespace}}}", 1)


def outside(*texts: str, name: str = "http.80") -> dict[str, Resource]:
    return virtual_hosts(translated(KV_MANIFESTS, *texts), name)


def inside(*texts: str) -> dict[str, Resource]:
    return virtual_hosts(translated(*texts), "mesh")


def names(host: Resource) -> list[str]:
    return [each["name"] for each in host["routes"]]


@pytest.mark.parametrize(
    ("offered", "wanted", "domains"),
    [
        ("[kv.example.com]", "[kv.example.com, kv]", {"kv.example.com"}),
        ("['*.example.com']", "[kv.example.com, a.example.org]", {"kv.example.com"}),
        ("[kv.example.com]", "['*.example.com']", {"kv.example.com"}),
        ("['*.example.com']", "['*.a.example.com']", {"*.a.example.com"}),
        ("['*']", "[KV.Example.com]", {"kv.example.com"}),
        ("['*']", "['*']", {"*"}),
        ("['*']", "[kv]", {"kv.shop.svc.cluster.local"}),
        ("[shop/kv.example.com]", "[kv.example.com]", {"kv.example.com"}),
        ("[./kv.example.com]", "[kv.example.com]", {"kv.example.com"}),
        ("['*/kv.example.com']", "[kv.example.com]", {"kv.example.com"}),
    ],
)
def test_a_gateway_serves_the_hosts_that_both_have(
    offered: str, wanted: str, domains: set[str]
) -> None:
    assert outside(gateway(offered), bound("kv", wanted, ANSWER % "a")).keys() == domains


@pytest.mark.parametrize(
    ("offered", "service"),
    [
        ("[kv.example.com]", bound("kv", "[kv.example.org]", ANSWER % "a")),
        ("[other/kv.example.com]", bound("kv", "[kv.example.com]", ANSWER % "a")),
        ("['*']", bound("kv", "['*']", ANSWER % "a", "[mesh]")),
        ("['*']", bound("kv", "['*']", ANSWER % "a", "[other/edge]")),
        ("['*']", bound("kv", "['*']", "- {match: [{port: 81}], directResponse: {status: 200}}")),
    ],
)
def test_without_common_hosts_every_request_is_404(offered: str, service: str) -> None:
    hosts = outside(gateway(offered), service)

    assert hosts.keys() == {"*"}
    assert hosts["*"]["routes"] == []


def test_a_gateway_s_routes_ignore_the_port_and_check_no_cluster() -> None:
    [found, _] = translated(KV_MANIFESTS, EDGE_GATEWAY).route_configurations

    assert found["name"] == "http.80"
    assert found["ignore_port_in_host_matching"] is True
    assert found["validate_clusters"] is False


def test_virtual_services_of_one_host_merge_with_catch_alls_last() -> None:
    first = bound("one", "[a.org, b.org]", ANSWER % "all")
    second = bound(
        "two",
        "[b.org]",
        "- {name: some, match: [{uri: {exact: /}}], directResponse: {status: 201}}",
    )

    hosts = outside(gateway("['*']"), first, second)

    assert names(hosts["a.org"]) == ["all"]
    assert names(hosts["b.org"]) == ["some", "all"]


def test_gateways_of_one_port_share_a_listener() -> None:
    configuration = translated(
        KV_MANIFESTS,
        gateway("[a.org]"),
        gateway("[b.org]", name="other"),
        bound("one", "[a.org, b.org]", ANSWER % "one"),
        bound("two", "[a.org, b.org]", ANSWER % "two", "[other]"),
    )

    hosts = virtual_hosts(configuration, "http.80")
    assert (names(hosts["a.org"]), names(hosts["b.org"])) == (["one"], ["two"])
    assert [each["name"] for each in configuration.listeners] == ["gateway_80", "mesh"]


def test_https_redirect_applies_to_every_host() -> None:
    hosts = outside(
        gateway("['*.org']", ", tls: {httpsRedirect: true}"), bound("kv", "[a.org]", ANSWER % "a")
    )

    assert hosts.keys() == {"a.org", "*.org"}
    assert all(each["require_tls"] == "ALL" for each in hosts.values())
    assert "require_tls" not in outside(EDGE_GATEWAY, bound("kv", "[a.org]", ANSWER % "a"))["a.org"]


def test_only_ports_with_a_local_address_have_a_listener() -> None:
    secure = "{number: 443, name: s, protocol: HTTPS}"
    text = f"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: edge}}
        spec:
          servers:
            - {{hosts: ['*'], port: {{number: 80, name: a, protocol: HTTP}}}}
            - {{hosts: ['*'], port: {secure}, tls: {{mode: SIMPLE, credentialName: c}}}}
    """
    objects = read_objects(documents(KV_MANIFESTS, text))

    def listening(*ports: int) -> list[str]:
        found = configured(objects, local_addresses(objects, *ports))
        names = {80: "http.80", 443: "https.443.s.edge.shop"}
        assert [each["name"] for each in found.route_configurations][:-1] == [
            name for port, name in names.items() if port in ports
        ]
        return [each["name"] for each in found.listeners]

    assert listening(80) == ["gateway_80", "mesh"]
    assert listening(443, 80) == ["gateway_443", "gateway_80", "mesh"]
    assert listening(81) == ["mesh"]


def test_a_derived_scheme_is_https_where_tls_ends() -> None:
    text = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge}
        spec:
          servers:
            - hosts: ['*']
              port: {number: 443, name: s, protocol: HTTPS}
              tls: {mode: SIMPLE, credentialName: c}
    """
    rules = "- redirect: {uri: /a, derivePort: FROM_REQUEST_PORT}"
    objects = read_objects(documents(KV_MANIFESTS, text, bound("kv", "[a.org]", rules)))

    hosts = virtual_hosts(
        configured(objects, local_addresses(objects, 443)), "https.443.s.edge.shop"
    )

    assert "port_redirect" not in hosts["a.org"]["routes"][0]["redirect"]


def manager(listener: Resource) -> dict[str, Any]:
    [chain] = listener["filter_chains"]
    [found] = chain["filters"]
    settings: dict[str, Any] = found["typed_config"]
    return settings


def test_external_callers_are_not_trusted() -> None:
    edge, mesh = (manager(each) for each in translated(KV_MANIFESTS, EDGE_GATEWAY).listeners)

    assert (edge["use_remote_address"], mesh["use_remote_address"]) == (True, False)
    for each in (edge, mesh):
        assert each["normalize_path"] is True
        assert [one["name"] for one in each["http_filters"]] == [
            "envoy.filters.http.fault",
            "envoy.filters.http.cors",
            "envoy.filters.http.router",
        ]


NAMES: Final = (
    "kv",
    "kv.shop",
    "kv.shop.svc",
    "kv.shop.svc.cluster.local",
    "kv.shop.svc.cluster.local.",
)


def test_a_service_is_reached_by_all_its_names() -> None:
    hosts = inside(KV_MANIFESTS)

    assert hosts.keys() == {*NAMES, *(f"{name}:8080" for name in NAMES)}
    [route] = hosts["kv"]["routes"]
    assert route["name"] == "default"
    assert route["route"]["cluster"] == WHOLE
    assert route["route"]["timeout"] == "0s"
    assert route["route"]["retry_policy"]["num_retries"] == 2


TWO_PORTS: Final = """
    apiVersion: v1
    kind: Service
    metadata: {name: kv}
    spec: {selector: {app: kv}, ports: [%s]}
"""


@pytest.mark.parametrize(
    ("ports", "bare"),
    [
        ("{port: 81, name: http-a}, {port: 80, name: http-b}", 80),
        ("{port: 81, name: http-a}, {port: 82, name: http-b}", 81),
        ("{port: 81, name: tcp-a}, {port: 82, name: http-b}", 82),
    ],
)
def test_a_name_without_a_port_is_port_80_or_the_first(ports: str, bare: int) -> None:
    [route] = inside(TWO_PORTS % ports)["kv"]["routes"]

    assert route["route"]["cluster"] == f"outbound|{bare}||kv.shop.svc.cluster.local"


def test_a_short_name_means_a_service_of_the_caller_s_namespace() -> None:
    other = KV_MANIFESTS.replace(
        "{name: kv}\nspec:\n  selector", "{name: kv, namespace: two}\nspec:\n  selector"
    )

    hosts = inside(KV_MANIFESTS, other)

    assert {"kv.shop", "kv.two"} <= hosts.keys()
    assert hosts["kv"] is hosts["kv:8080"] is hosts["kv.shop"]


def test_a_virtual_service_applies_in_the_mesh_only_if_bound_to_it() -> None:
    to_edge = bound("kv", "[kv]", ANSWER % "said")
    to_mesh = bound("kv", "[kv]", ANSWER % "said", "[mesh]")

    assert names(inside(KV_MANIFESTS, to_edge)["kv"]) == ["default"]
    assert names(inside(KV_MANIFESTS, to_mesh)["kv"]) == ["said"]


def test_a_host_without_a_service_is_served_too() -> None:
    hosts = inside(KV_MANIFESTS, bound("kv", "[kv.example.com, kv]", ANSWER % "said", "[mesh]"))

    for name in ("kv.example.com", "kv.example.com:8080", "kv", "kv.shop:8080"):
        assert names(hosts[name]) == ["said"]


def test_in_the_mesh_the_first_virtual_service_of_a_host_counts() -> None:
    one, two = (bound(name, "[kv]", ANSWER % name, "[mesh]") for name in ("one", "two"))

    assert names(inside(KV_MANIFESTS, one, two)["kv"]) == ["one"]


def test_a_host_in_full_counts_before_a_wildcard() -> None:
    wide = bound("wide", "['*.shop.svc.cluster.local']", ANSWER % "wide", "[mesh]")
    narrow = bound("narrow", "[kv]", ANSWER % "narrow", "[mesh]")
    other = TWO_PORTS.replace("{name: kv}", "{name: two}") % "{port: 80}"

    hosts = inside(KV_MANIFESTS, other, wide, narrow)

    assert (names(hosts["kv"]), names(hosts["two"])) == (["narrow"], ["wide"])


def test_without_a_route_for_the_mesh_a_service_has_its_default_route() -> None:
    rules = "- {match: [{gateways: [edge]}], directResponse: {status: 200}}"

    assert names(inside(KV_MANIFESTS, bound("kv", "[kv]", rules, "[edge, mesh]"))["kv"]) == [
        "default"
    ]


def test_an_external_name_service_is_another_name() -> None:
    alias = """
        apiVersion: v1
        kind: Service
        metadata: {name: old}
        spec: {type: ExternalName, externalName: kv.shop.svc.cluster.local}
    """

    assert names(inside(KV_MANIFESTS, alias)["old:8080"]) == ["default"]


def test_without_an_address_there_is_no_mesh_listener() -> None:
    objects = read_objects(documents(KV_MANIFESTS))
    found = local_addresses(objects)

    configuration = configured(objects, type(found)(found.pods, found.listeners))

    assert configuration.listeners == configuration.route_configurations == ()


def test_each_server_that_decrypts_has_its_own_routes_and_certificate() -> None:
    servers = ", ".join(
        f"{{hosts: [{host}], port: {{number: 443, name: {name}, protocol: HTTPS}},"
        f" tls: {{mode: SIMPLE, credentialName: {name}}}}}"
        for name, host in (("one", "a.org"), ("two", "b.org"))
    )
    text = f"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: edge}}
        spec: {{servers: [{servers}]}}
    """
    objects = read_objects(documents(KV_MANIFESTS, text, bound("kv", "['*']", ANSWER % "a")))
    local = local_addresses(objects, 443)
    files = {f"kubernetes://{each}": CertificateFiles(f"{each}.pem") for each in ("one", "two")}

    found = configured(objects, replace(local, certificates=files))

    for name, host in (("one", "a.org"), ("two", "b.org")):
        assert virtual_hosts(found, f"https.443.{name}.edge.shop").keys() == {host}
    chains = found.listeners[0]["filter_chains"]
    contexts = [each["transport_socket"]["typed_config"]["common_tls_context"] for each in chains]
    assert [
        (
            chain["filter_chain_match"]["server_names"],
            context["tls_certificates"][0]["certificate_chain"]["filename"],
        )
        for chain, context in zip(chains, contexts, strict=True)
    ] == [(["a.org"], "one.pem"), (["b.org"], "two.pem")]
