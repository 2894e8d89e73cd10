"""The caller, the port and the Host that lead to a VirtualService. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..envoy.configuration import Objects
from ..envoy.host_matching import narrower_host
from ..envoy.local_configuration import http_ports
from ..envoy.proxy import Proxy
from ..envoy.scope import Scope
from ..envoy.sidecar_listeners import hosts_by_port
from ..manifests.hosts import expand_host, overlap
from ..manifests.virtual_service import MESH, VirtualService
from .errors import NoIngress


class Ingress(NamedTuple):
    """Where requests enter: a gateway's port or a Service's, and a Host that leads to the routes.

    ``proxy`` is the gateway, or the sidecar of a caller inside the mesh.
    """

    proxy: Proxy
    port: int
    host: str


def find_ingress(objects: Objects, virtual_service: VirtualService) -> Ingress:
    """Return a proxy, a port and a Host that lead to a VirtualService; raise NoIngress.

    If no Gateway does and it is bound to ``mesh``, callers are in its namespace.
    """
    named = [each for each in virtual_service.gateways if each != MESH]
    for gateway in objects.gateways:
        if f"{gateway.namespace}/{gateway.name}" not in named:
            continue
        proxy = gateway_proxy(objects, gateway.spec.selector)
        ports = http_ports(objects, proxy)
        for server in gateway.spec.servers:
            if server.port.number not in ports or (server.tls and server.tls.https_redirect):
                continue  # it forwards connections, or only redirects to another port
            for host in virtual_service.spec.hosts:
                for domain in server.domains:
                    if overlap(domain, host):
                        found = _concrete(narrower_host(host, domain))
                        return Ingress(proxy, server.port.number, found)
    if MESH in virtual_service.gateways:
        return _inside(objects, virtual_service)
    raise NoIngress(
        f"VirtualService {virtual_service.namespace}/{virtual_service.name}: none of the Gateways"
        f" that it names ({', '.join(named) or 'none'}) is among the manifests and has one of its"
        " hosts at a port for HTTP"
    )


def _inside(objects: Objects, virtual_service: VirtualService) -> Ingress:
    namespace = virtual_service.namespace
    proxy = Proxy.sidecar(namespace)
    tables = hosts_by_port(Scope(objects, proxy))
    wanted = [expand_host(each, namespace) for each in virtual_service.spec.hosts]
    for port, hosts in sorted(tables.items()):
        for domain in (domain for host in hosts for domain in host["domains"]):
            for host in wanted:
                if overlap(domain, host):
                    found = _concrete(narrower_host(host, domain))
                    return Ingress(proxy, port, f"{found}:{port}")
    raise NoIngress(
        f"VirtualService {namespace}/{virtual_service.name}: no Gateway of it is among the"
        f" manifests, and callers in {namespace} see no Service or ServiceEntry for HTTP with one"
        f" of its hosts ({', '.join(virtual_service.spec.hosts)})"
    )


def gateway_proxy(objects: Objects, selector: Mapping[str, str]) -> Proxy:
    """Return the gateway that a selector selects: a workload's, else one in the root namespace."""
    for each in objects.workloads:
        if selector and each.has_labels(selector):
            return Proxy.gateway(each.labels, each.namespace)
    return Proxy.gateway(selector)


def _concrete(host: str) -> str:
    """Return a host name that a wildcard matches; return any other host as it is."""
    if host == "*":
        return "rehearsal.test"
    return f"rehearsal{host[1:]}" if host.startswith("*.") else host
