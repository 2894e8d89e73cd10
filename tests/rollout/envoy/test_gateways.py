"""What gateways listen on, and the routes of connections, at gateways and in the mesh."""

from __future__ import annotations

import pytest

from rollout.envoy.proxy import Proxy
from rollout.envoy.translation import translate
from tests.rollout.envoy.callers import (
    EDGE,
    ELSEWHERE,
    IN_SHOP,
    NETWORKING,
    ROUTE,
    answer,
    seen,
    virtual,
)
from tests.rollout.envoy.example_mesh import CANARY, KV_MANIFESTS, WHOLE, documents, read_objects


class TestGateways:
    def gateway(self, name: str, selector: str, more: str = "") -> str:
        server = more or "{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}}"
        return f"""
            {NETWORKING}
            kind: Gateway
            metadata: {{name: {name}, namespace: shop}}
            spec: {{selector: {selector}, servers: [{server}]}}
        """

    def test_each_selects_its_own_proxies(self) -> None:
        texts = (
            self.gateway("edge", "{istio: ingressgateway}"),
            self.gateway("internal", "{istio: internal}"),
            virtual("a", f"{{hosts: [a.org], gateways: [edge], http: [{ROUTE % 'a'}]}}"),
            virtual("b", f"{{hosts: [a.org], gateways: [internal], http: [{ROUTE % 'b'}]}}"),
        )

        for proxy, name in ((EDGE, "a"), (Proxy.gateway({"istio": "internal"}), "b")):
            [host] = seen(proxy, *texts).routes["http.80"]["virtual_hosts"]
            assert [each["name"] for each in host["routes"]] == [name]

    def test_each_https_server_has_its_own_routes_by_server_name(self) -> None:
        def server(name: str, host: str) -> str:
            port = f"{{number: 443, name: {name}, protocol: HTTPS}}"
            tls = "{mode: SIMPLE, credentialName: c}"
            return f"{{hosts: [{host}], port: {port}, tls: {tls}}}"

        found = seen(
            EDGE,
            self.gateway(
                "edge",
                "{istio: ingressgateway}",
                f"{server('one', 'a.org')}, {server('two', 'b.org')}",
            ),
            self.gateway("late", "{istio: ingressgateway}", server("three", "a.org")),
            virtual("a", f"{{hosts: ['*'], gateways: [edge, late], http: [{ROUTE % 'a'}]}}"),
        )

        assert [*found.routes] == ["https.443.one.edge.shop", "https.443.two.edge.shop"]
        assert [each["filter_chain_match"] for each in found.chains[443]] == [
            {"server_names": ["a.org"]},
            {"server_names": ["b.org"]},
        ]

    @pytest.mark.parametrize("tls", ["{credentialName: c}", "{mode: PASSTHROUGH}"])
    def test_connections_that_pass_through_have_tls_routes_only(self, tls: str) -> None:
        server = f"{{hosts: [a.org], port: {{number: 443, name: s, protocol: HTTPS}}, tls: {tls}}}"
        edge = self.gateway("edge", "{istio: ingressgateway}", server)
        http = virtual("a", f"{{hosts: [a.org], gateways: [edge], http: [{ROUTE % 'a'}]}}")
        tls_route = virtual(
            "b",
            "{hosts: [a.org], gateways: [edge], tls: [{match: [{sniHosts: [a.org]}],"
            " route: [{destination: {host: kv, subset: canary}}]}]}",
        )

        assert (seen(EDGE, edge, http).chains, seen(EDGE, edge, http).routes) == ({}, {})
        [chain] = seen(EDGE, edge, http, tls_route).chains[443]
        assert chain["filter_chain_match"] == {"server_names": ["a.org"]}
        assert chain["filters"][0]["typed_config"]["cluster"] == CANARY

    def test_a_tcp_port_has_the_first_tcp_route(self) -> None:
        server = "{hosts: ['*'], port: {number: 9000, name: t, protocol: TCP}}"
        tcp = virtual(
            "a",
            "{hosts: ['*'], gateways: [edge], tcp: [{match: [{port: 9001}],"
            " route: [{destination: {host: kv}}]}, {route: ["
            "{destination: {host: kv, subset: stable}, weight: 1},"
            " {destination: {host: kv, subset: canary}, weight: 3}]}]}",
        )

        edge = self.gateway("edge", "{istio: ingressgateway}", server)
        [chain] = seen(EDGE, edge, tcp).chains[9000]

        clusters = chain["filters"][0]["typed_config"]["weighted_clusters"]["clusters"]
        assert [each["weight"] for each in clusters] == [1, 3]

    def test_a_tcp_port_for_sidecars_offers_to_exchange_metadata(self) -> None:
        tls = "tls: {mode: ISTIO_MUTUAL}"
        server = f"{{hosts: ['*'], port: {{number: 9000, name: t, protocol: TLS}}, {tls}}}"
        edge = self.gateway("edge", "{istio: ingressgateway}", server)
        tcp = "{hosts: ['*'], gateways: [edge], tcp: [{route: [{destination: {host: kv}}]}]}"

        [chain] = seen(EDGE, edge, virtual("a", tcp)).chains[9000]

        context = chain["transport_socket"]["typed_config"]["common_tls_context"]
        assert context["alpn_protocols"] == ["istio-peer-exchange", "h2", "http/1.1"]


def test_tcp_and_tls_ports_of_a_sidecar_have_routes_of_connections() -> None:
    service = """
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {ports: [{name: tcp-a, port: 1}, {name: tls-b, port: 2}]}
    """
    text = virtual(
        "db",
        "{hosts: [db], tcp: [{match: [{port: 1, sourceLabels: {app: caller}}],"
        " route: [{destination: {host: kv, port: {number: 8080}}}]}],"
        " tls: [{match: [{port: 2, sniHosts: [db]}],"
        " route: [{destination: {host: kv, port: {number: 8080}}}]}]}",
    )

    tcp, tls = seen(IN_SHOP, service, text).tcp
    default, _ = seen(ELSEWHERE, service, text).tcp

    assert [each.tcp_proxy["typed_config"]["cluster"] for each in tcp.chains] == [WHOLE]
    assert [each.server_names for each in tls.chains] == [("db",)]
    assert default.chains[0].tcp_proxy["typed_config"]["cluster"] == (
        "outbound|1||db.shop.svc.cluster.local"
    )


def test_of_two_tls_routes_for_a_name_the_first_counts() -> None:
    service = """
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {ports: [{name: tls-b, port: 2}]}
    """
    text = virtual(
        "db",
        "{hosts: [db, a.org], tls: ["
        "{match: [{sniHosts: [a.org]}], route: [{destination: {host: one}}]},"
        " {match: [{sniHosts: [a.org]}], route: [{destination: {host: two}}]}]}",
    )

    [tls] = seen(IN_SHOP, service, text).tcp

    [chain] = tls.chains
    assert chain.tcp_proxy["typed_config"]["cluster"] == "outbound|2||one.shop.svc.cluster.local"


def test_a_port_whose_protocol_is_detected_has_only_its_own_routes() -> None:
    unnamed = KV_MANIFESTS.replace("name: http, port: 8080", "name: a, port: 8080")
    text = virtual("a", answer("said"))

    found = translate(read_objects(documents(unnamed, text)), IN_SHOP)

    [(port, [host])] = found.hosts.items()
    assert (port, host["domains"]) == (8080, ["*"])
    assert [each["name"] for each in host["routes"]] == ["said"]
    options = found.clusters[0].resource["typed_extension_protocol_options"]
    assert "use_downstream_protocol_config" in str(options)
    gateway = translate(read_objects(documents(unnamed)), EDGE)
    assert "typed_extension_protocol_options" not in gateway.clusters[0].resource
