"""The ingress ports of the Gateways, and the Host that clients of a VirtualService send. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..envoy.configuration import Objects
from ..envoy.gateway_routes import narrower_host
from ..manifests.gateway import Gateway
from ..manifests.hosts import overlap
from ..manifests.virtual_service import MESH, VirtualService
from .errors import NoIngress


def ports_of(gateways: Iterable[Gateway]) -> tuple[int, ...]:
    """Return the ports of all Gateways, sorted, without duplicates."""
    return tuple(sorted({each.port.number for one in gateways for each in one.spec.servers}))


def find_ingress(objects: Objects, virtual_service: VirtualService) -> tuple[int, str]:
    """Return a Gateway port and a Host that lead to a VirtualService; raise NoIngress."""
    named = [each for each in virtual_service.gateways if each != MESH]
    for gateway in objects.gateways:
        if f"{gateway.namespace}/{gateway.name}" not in named:
            continue
        for server in gateway.spec.servers:
            if server.tls is not None and server.tls.https_redirect:
                continue  # it only redirects to another port
            for host in virtual_service.spec.hosts:
                for domain in server.domains:
                    if overlap(domain, host):
                        return server.port.number, _concrete(narrower_host(host, domain))
    raise NoIngress(
        f"VirtualService {virtual_service.namespace}/{virtual_service.name}: none of the Gateways"
        f" that it names ({', '.join(named) or 'none'}) is among the manifests and has one of its"
        " hosts"
    )


def _concrete(host: str) -> str:
    """Return a host name that a wildcard matches; return any other host as it is."""
    if host == "*":
        return "rehearsal.test"
    return f"rehearsal{host[1:]}" if host.startswith("*.") else host
