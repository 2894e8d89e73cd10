"""The caller, the port and the Host that lead to a VirtualService. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..envoy.configuration import Objects
from ..envoy.host_matching import narrower_host
from ..envoy.local_configuration import http_ports
from ..envoy.proxy import Proxy
from ..envoy.scope import Scope
from ..envoy.sidecar_listeners import hosts_by_port
from ..manifests.hosts import covers_host, expand_host, overlap
from ..manifests.virtual_service import MESH, VirtualService
from .errors import NoIngress


class Ingress(NamedTuple):
    """Where requests enter: a gateway's port or a Service's, and a Host that leads to the routes.

    ``proxy`` is the gateway, or the sidecar of a caller inside the mesh.
    """

    proxy: Proxy
    port: int
    host: str


def find_ingress(
    objects: Objects,
    virtual_service: VirtualService,
    host: str | None = None,
    caller: Proxy | None = None,
) -> Ingress:
    """Return a proxy, a port and a Host that lead to a VirtualService; raise NoIngress.

    ``host`` is a name that clients ask for; without it, it is the first. ``caller`` is inside the
    mesh; without it, requests come through a gateway, or if the VirtualService is bound only to
    ``mesh``, from its namespace.
    """
    if caller:
        return _inside(objects, virtual_service, host, caller)
    named = [each for each in virtual_service.gateways if each != MESH]
    for gateway in objects.gateways:
        if f"{gateway.namespace}/{gateway.name}" not in named:
            continue
        proxy = gateway_proxy(objects, gateway.spec.selector)
        ports = http_ports(objects, proxy)
        for server in gateway.spec.servers:
            if server.port.number not in ports or (server.tls and server.tls.https_redirect):
                continue  # it forwards connections, or only redirects to another port
            for each in _asked(virtual_service.spec.hosts, host):
                for domain in server.domains:
                    if overlap(domain, each):
                        found = _concrete(narrower_host(each, domain))
                        return Ingress(proxy, server.port.number, found)
    if not named:
        return _inside(objects, virtual_service, host, Proxy.sidecar(virtual_service.namespace))
    raise NoIngress(
        f"VirtualService {virtual_service.namespace}/{virtual_service.name}: none of the Gateways"
        f" that it names ({', '.join(named) or 'none'}) is among the manifests and has"
        f" {host or 'one of its hosts'} at a port for HTTP"
    )


def _asked(hosts: Iterable[str], host: str | None) -> list[str]:
    """Return the hosts, or if it matches one of them, the host that clients ask for."""
    if host is None:
        return [*hosts]
    return [host for each in hosts if each == "*" or covers_host(each, host)][:1]


def _inside(
    objects: Objects, virtual_service: VirtualService, asked: str | None, caller: Proxy
) -> Ingress:
    namespace = virtual_service.namespace
    title = f"VirtualService {namespace}/{virtual_service.name}"
    if MESH not in (virtual_service.gateways or (MESH,)):
        raise NoIngress(f"{title} is not bound to mesh, so callers inside it do not use its routes")
    tables = hosts_by_port(Scope(objects, caller))
    hosts = [expand_host(each, namespace) for each in virtual_service.spec.hosts]
    wanted = _asked(hosts, asked and expand_host(asked, namespace))
    for port, virtual_hosts in sorted(tables.items()):
        for domain in (domain for each in virtual_hosts for domain in each["domains"]):
            for host in wanted:
                if overlap(domain, host):
                    found = _concrete(narrower_host(host, domain))
                    return Ingress(caller, port, f"{found}:{port}")
    raise NoIngress(
        f"{title}: callers in {caller.namespace} see no Service or ServiceEntry for HTTP with one"
        f" of its hosts ({', '.join(virtual_service.spec.hosts)})"
    )


def gateway_proxy(objects: Objects, selector: Mapping[str, str]) -> Proxy:
    """Return the gateway that a selector selects: a workload's, else one in the root namespace."""
    for each in objects.workloads:
        if selector and each.has_labels(selector):
            return Proxy.gateway(each.labels, each.namespace, each.service_account)
    return Proxy.gateway(selector)


def _concrete(host: str) -> str:
    """Return a host name that a wildcard matches; return any other host as it is."""
    if host == "*":
        return "rehearsal.test"
    return f"rehearsal{host[1:]}" if host.startswith("*.") else host
