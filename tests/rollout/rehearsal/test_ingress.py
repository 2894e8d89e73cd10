"""Through which port, and with which Host, clients reach a VirtualService."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rollout.envoy.configuration import Objects
from rollout.envoy.proxy import Proxy
from rollout.manifests.gateway import Gateway
from rollout.manifests.kubernetes import Service, ServicePort, Workload
from rollout.manifests.parsing import parse_manifest
from rollout.rehearsal.errors import NoIngress
from rollout.rehearsal.ingress import Ingress, find_ingress
from tests.rollout.rehearsal.plans import read_routes

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}


def gateway(*servers: dict[str, Any]) -> Objects:
    parsed = parse_manifest(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": "shop"},
            "spec": {"selector": {"istio": "gateway"}, "servers": [*servers]},
        }
    )
    assert isinstance(parsed.manifest, Gateway), parsed.errors
    return Objects((), (), (parsed.manifest,), (), ())


def ingress_of(objects: Objects, *hosts: str, gateways: tuple[str, ...] = ("edge",)) -> Ingress:
    routes = read_routes(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "kv", "namespace": "shop"},
            "spec": {
                "hosts": [*hosts],
                "gateways": [*gateways],
                "http": [{"route": [{"destination": {"host": "kv"}}]}],
            },
        }
    )
    return find_ingress(objects, routes)


def found(objects: Objects) -> Ingress:
    return ingress_of(objects, "kv.example.com")


@pytest.mark.parametrize(
    ("domain", "host", "sent"),
    [
        ("kv.example.com", "kv.example.com", "kv.example.com"),
        ("*", "kv.example.com", "kv.example.com"),
        ("*.example.com", "kv.example.com", "kv.example.com"),
        ("kv.example.com", "*.example.com", "kv.example.com"),
        ("*.example.com", "*.example.com", "rehearsal.example.com"),
        ("kv.example.com", "*", "kv.example.com"),
        ("*", "*", "rehearsal.test"),
    ],
)
def test_the_host_is_one_that_both_have(domain: str, host: str, sent: str) -> None:
    assert ingress_of(gateway({"port": HTTP, "hosts": [domain]}), host)[1:] == (80, sent)


def test_of_several_domains_the_one_that_matches_is_used() -> None:
    objects = gateway({"port": HTTP, "hosts": ["*.example.org", "kv.example.com"]})

    assert ingress_of(objects, "*.example.com")[1:] == (80, "kv.example.com")


def test_a_port_that_only_redirects_is_not_used() -> None:
    objects = gateway(
        {"port": HTTP, "hosts": ["*"], "tls": {"httpsRedirect": True}},
        {"port": HTTPS, "hosts": ["*"], "tls": {"mode": "SIMPLE", "credentialName": "kv"}},
    )

    assert ingress_of(objects, "kv.example.com")[1:] == (443, "kv.example.com")


def test_hosts_that_no_gateway_has_are_skipped() -> None:
    objects = gateway({"port": HTTP, "hosts": ["other.example.com", "*.kv.example.com"]})

    assert ingress_of(objects, "kv", "a.kv.example.com")[1:] == (80, "a.kv.example.com")


@pytest.mark.parametrize("gateways", [("mesh",), ("elsewhere/edge",), ("edge",)])
def test_without_ingress_the_error_names_the_virtual_service(gateways: tuple[str, ...]) -> None:
    objects = gateway({"port": HTTP, "hosts": ["other.example.com"]})

    with pytest.raises(NoIngress, match="shop/kv"):
        ingress_of(objects, "kv.example.com", gateways=gateways)


def test_the_gateway_is_the_one_that_the_selector_selects() -> None:
    objects = gateway({"port": HTTP, "hosts": ["*"]})
    pod = Workload("edge", "in", "Deployment", {"istio": "gateway", "app": "in"}, 1, {}, "gw")

    assert found(objects).proxy == Proxy.gateway({"istio": "gateway"})
    assert found(replace(objects, workloads=(pod,))).proxy == Proxy.gateway(
        pod.labels, "edge", "gw"
    )


def test_a_port_that_forwards_connections_is_not_used() -> None:
    passing = {"port": HTTPS, "hosts": ["*"], "tls": {"credentialName": "kv"}}

    with pytest.raises(NoIngress, match="at a port for HTTP"):
        found(gateway(passing))
    assert found(gateway(passing, {"port": HTTP, "hosts": ["*"]})).port == 80


def test_callers_of_a_virtual_service_of_the_mesh_are_in_its_namespace() -> None:
    port = ServicePort(9080, "http", 9080, "TCP", None)
    service = Service("shop", "kv", (port,), {"app": "kv"}, None)

    found = ingress_of(Objects((), (), (), (service,), ()), "kv", gateways=("mesh",))

    assert found == Ingress(Proxy.sidecar("shop"), 9080, "kv.shop.svc.cluster.local:9080")


def test_a_gateway_is_used_before_callers_of_the_mesh() -> None:
    objects = gateway({"port": HTTP, "hosts": ["*"]})

    assert ingress_of(objects, "kv.example.com", gateways=("mesh", "edge")).port == 80
