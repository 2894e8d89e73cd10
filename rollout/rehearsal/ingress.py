"""The gateway, the port and the Host that lead to a VirtualService. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..envoy.configuration import Objects
from ..envoy.host_matching import narrower_host
from ..envoy.local_configuration import http_ports
from ..envoy.proxy import Proxy
from ..manifests.hosts import overlap
from ..manifests.virtual_service import MESH, VirtualService
from .errors import NoIngress


class Ingress(NamedTuple):
    """Where requests enter: a gateway's port, and a Host that leads to the routes."""

    proxy: Proxy
    port: int
    host: str


def find_ingress(objects: Objects, virtual_service: VirtualService) -> Ingress:
    """Return a gateway, its port and a Host that lead to a VirtualService; raise NoIngress."""
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
    raise NoIngress(
        f"VirtualService {virtual_service.namespace}/{virtual_service.name}: none of the Gateways"
        f" that it names ({', '.join(named) or 'none'}) is among the manifests and has one of its"
        " hosts at a port for HTTP"
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
