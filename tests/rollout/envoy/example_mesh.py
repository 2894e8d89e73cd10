"""An example mesh to translate: manifests as text, addresses, and lookups in the result."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

import yaml

from rollout.envoy.configuration import (
    Address,
    Configuration,
    LocalAddresses,
    Objects,
    PodPort,
    Resource,
)
from rollout.envoy.local_configuration import gateway_configuration, mesh_configuration
from rollout.envoy.proxy import Proxy
from rollout.manifests.destination_rule import DestinationRule
from rollout.manifests.gateway import Gateway
from rollout.manifests.kubernetes import WORKLOADS, parse_service, parse_workload
from rollout.manifests.metadata import IstioObject
from rollout.manifests.parsing import is_istio, parse_manifest
from rollout.manifests.request_authentication import RequestAuthentication
from rollout.manifests.security import AuthorizationPolicy, PeerAuthentication
from rollout.manifests.service_entry import ServiceEntry
from rollout.manifests.sidecar import Sidecar
from rollout.manifests.virtual_service import VirtualService
from tests.support.certificates import example_certificate

EDGE: Final = Address("127.0.0.1", 18080)
MESH: Final = Address("127.0.0.1", 18081)

#: A Service with two subsets, for most tests.
KV_MANIFESTS: Final = """
apiVersion: v1
kind: Service
metadata: {name: kv}
spec:
  selector: {app: kv}
  ports: [{name: http, port: 8080, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kv-stable}
spec:
  template:
    metadata: {labels: {app: kv, track: stable}}
    spec: {containers: [{ports: [{name: http, containerPort: 8000}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kv-canary}
spec:
  template:
    metadata: {labels: {app: kv, track: canary}}
    spec: {containers: [{ports: [{name: http, containerPort: 8000}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: kv}
spec:
  host: kv
  subsets:
    - {name: stable, labels: {track: stable}}
    - {name: canary, labels: {track: canary}}
"""
STABLE: Final = "outbound|8080|stable|kv.shop.svc.cluster.local"
CANARY: Final = "outbound|8080|canary|kv.shop.svc.cluster.local"
WHOLE: Final = "outbound|8080||kv.shop.svc.cluster.local"
#: A rule with one destination.
ONE: Final = "- route: [{destination: {host: kv, subset: stable}}]\n"
#: A Gateway for any host.
EDGE_GATEWAY: Final = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}]}
"""


def documents(*texts: str) -> list[dict[str, Any]]:
    return [each for text in texts for each in _parsed(text)]


@cache
def _parsed(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(textwrap.dedent(text)) if each]


def read_objects(found: Iterable[Mapping[str, Any]], namespace: str = "shop") -> Objects:
    """Read valid documents; ``namespace`` is for those that have none."""
    manifests: list[IstioObject] = []
    services, workloads = [], []
    for each in found:
        own = each["metadata"].get("namespace", namespace)
        if is_istio(each["apiVersion"]):
            parsed = parse_manifest(each, own)
            assert parsed.manifest is not None, parsed.errors
            manifests.append(parsed.manifest)
        elif each["kind"] == "Service":
            services.append(parse_service(each, own))
        elif each["kind"] in WORKLOADS:
            workloads.append(parse_workload(each, own))
    return Objects(
        tuple(each for each in manifests if isinstance(each, VirtualService)),
        tuple(each for each in manifests if isinstance(each, DestinationRule)),
        tuple(each for each in manifests if isinstance(each, Gateway)),
        tuple(services),
        tuple(workloads),
        tuple(each for each in manifests if isinstance(each, ServiceEntry)),
        tuple(each for each in manifests if isinstance(each, Sidecar)),
        tuple(each for each in manifests if isinstance(each, PeerAuthentication)),
        tuple(each for each in manifests if isinstance(each, AuthorizationPolicy)),
        tuple(each for each in manifests if isinstance(each, RequestAuthentication)),
    )


def local_addresses(objects: Objects, *ports: int) -> LocalAddresses:
    """Return an address for each Gateway port, and two pods of each workload."""
    return LocalAddresses(
        {
            PodPort(each.namespace, each.name, port): (
                Address("127.0.0.1", 20000 + 100 * index + port % 97),
                Address("127.0.0.1", 30000 + 100 * index + port % 97),
            )
            for index, each in enumerate(objects.workloads)
            for port in each.ports
        },
        {port: Address(EDGE.host, EDGE.port + index) for index, port in enumerate(ports or (80,))},
        Address(MESH.host, MESH.port + len(ports)),
        certificates=defaultdict(example_certificate),
    )


def translated(*texts: str) -> Configuration:
    """Return the translation of some manifests, with a listener for port 80."""
    objects = read_objects(documents(*texts))
    return configured(objects, local_addresses(objects))


def configured(objects: Objects, local: LocalAddresses) -> Configuration:
    """Return what a gateway and a caller in namespace ``shop`` have, in one configuration."""
    labels = {key: each for one in objects.gateways for key, each in one.spec.selector.items()}
    gateway = gateway_configuration(objects, local, Proxy.gateway(labels))
    mesh = mesh_configuration(objects, local, Proxy.sidecar("shop"))
    return replace(
        gateway,
        listeners=(*gateway.listeners, *mesh.listeners),
        route_configurations=(*gateway.route_configurations, *mesh.route_configurations),
    )


def virtual_service(rules: str, hosts: str = "[kv]") -> str:
    """Return a VirtualService bound to the mesh and the Gateway ``edge``."""
    head = (
        "apiVersion: networking.istio.io/v1\n"
        "kind: VirtualService\n"
        "metadata: {name: kv}\n"
        f"spec:\n  hosts: {hosts}\n  gateways: [edge, mesh]\n  http:\n"
    )
    return head + textwrap.indent(textwrap.dedent(rules).strip(), "    ")


def destination_rule(policy: str, subset_policy: str = "") -> str:
    """Return a DestinationRule with one subset, ``stable``; policies are in YAML's flow style."""
    written = f", trafficPolicy: {subset_policy}" if subset_policy else ""
    return f"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: kv}}
        spec:
          host: kv
          trafficPolicy: {policy}
          subsets: [{{name: stable, labels: {{track: stable}}{written}}}]
    """


def virtual_hosts(configuration: Configuration, name: str) -> dict[str, Resource]:
    """Return the virtual hosts of a route configuration by their domains."""
    [found] = [each for each in configuration.route_configurations if each["name"] == name]
    return {domain: host for host in found["virtual_hosts"] for domain in host["domains"]}


def routes_of(*texts: str, host: str = "kv:8080") -> list[Resource]:
    """Return the routes of a host inside the mesh."""
    found: list[Resource] = virtual_hosts(translated(*texts), "mesh")[host]["routes"]
    return found


def rule(text: str, *more: str) -> Resource:
    """Return the Envoy route of a VirtualService with one rule."""
    [route] = routes_of(more[0] if more else KV_MANIFESTS, virtual_service(text), *more[1:])
    return route


def action(text: str, *more: str) -> dict[str, Any]:
    """Return the RouteAction of that route."""
    found: dict[str, Any] = rule(text, *more)["route"]
    return found


def cluster(configuration: Configuration, name: str) -> Resource:
    [found] = [each for each in configuration.clusters if each["name"] == name]
    return found


def cluster_names(configuration: Configuration) -> list[str]:
    return [each["name"] for each in configuration.clusters]
