"""By which port and host a client comes in."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.envoy.configuration import Objects
from rollout.manifests.gateway import Gateway
from rollout.manifests.parsing import parse_manifest
from rollout.rehearsal.ingress import NoEntrance, entrance, ports_of
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


def come_in(objects: Objects, *hosts: str, gateways: tuple[str, ...] = ("edge",)) -> Any:
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
    return entrance(objects, routes)


@pytest.mark.parametrize(
    ("domain", "host", "asked"),
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
def test_a_host_of_both_is_asked_for(domain: str, host: str, asked: str) -> None:
    assert come_in(gateway({"port": HTTP, "hosts": [domain]}), host) == (80, asked)


def test_a_port_that_only_sends_on_is_not_used() -> None:
    objects = gateway(
        {"port": HTTP, "hosts": ["*"], "tls": {"httpsRedirect": True}},
        {"port": HTTPS, "hosts": ["*"], "tls": {"mode": "SIMPLE", "credentialName": "kv"}},
    )

    assert come_in(objects, "kv.example.com") == (443, "kv.example.com")
    assert ports_of(objects.gateways) == (80, 443)


def test_hosts_that_no_gateway_has_are_skipped() -> None:
    objects = gateway({"port": HTTP, "hosts": ["other.example.com", "*.kv.example.com"]})

    assert come_in(objects, "kv", "a.kv.example.com") == (80, "a.kv.example.com")


@pytest.mark.parametrize("gateways", [("mesh",), ("elsewhere/edge",), ("edge",)])
def test_without_a_way_in_it_says_so(gateways: tuple[str, ...]) -> None:
    objects = gateway({"port": HTTP, "hosts": ["other.example.com"]})

    with pytest.raises(NoEntrance, match="shop/kv"):
        come_in(objects, "kv.example.com", gateways=gateways)
