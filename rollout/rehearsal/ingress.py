"""The caller, the port and the Host that lead to a plan's routes. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..envoy.configuration import Objects
from ..envoy.gateway_api import with_gateway_api
from ..envoy.host_matching import narrower_host
from ..envoy.local_configuration import http_ports
from ..envoy.proxy import Proxy
from ..envoy.scope import Scope
from ..envoy.sidecar_listeners import hosts_by_port
from ..manifests.gateway import Gateway
from ..manifests.hosts import covers_host, expand_host, overlap
from ..manifests.semantics import has_gateway_semantics
from ..manifests.virtual_service import MESH, VirtualService
from ..manifests.weighted_rules import Routes
from .errors import NoIngress
from .step_routes import istio_routes_of


class Ingress(NamedTuple):
    """Where requests enter: a gateway's port or a Service's, and a Host that leads to the routes.

    ``proxy`` is the gateway, or the sidecar of a caller inside the mesh.
    """

    proxy: Proxy
    port: int
    host: str


def find_ingresses(
    objects: Objects, routes: Sequence[Routes], hosts: Sequence[str], caller: Proxy | None = None
) -> tuple[list[Ingress], list[Routes]]:
    """Return the entrances of a step's objects, and the objects whose requests enter elsewhere.

    ``hosts`` are names that clients ask for; without any, it is the first of each object. Raise
    NoIngress if a host leads to no object, if nothing leads to the first, or if the hosts are at
    several proxies.
    """
    if hosts:
        found = [_ingress_of_any(objects, routes, each, caller) for each in hosts]
        if any(each.proxy != found[0].proxy for each in found):
            raise NoIngress("the hosts are at two gateways; rehearse one after the other")
        return found, []
    found, elsewhere = [find_ingress(objects, routes[0], caller=caller)], list[Routes]()
    for each in routes[1:]:
        try:
            ingress = find_ingress(objects, each, caller=caller)
        except NoIngress:
            elsewhere.append(each)
            continue
        if ingress.proxy != found[0].proxy:
            elsewhere.append(each)
        elif ingress not in found:
            found.append(ingress)
    return found, elsewhere


def _ingress_of_any(
    objects: Objects, routes: Sequence[Routes], host: str, caller: Proxy | None
) -> Ingress:
    """Return the entrance of the first object that has the host."""
    first, *others = routes
    try:
        return find_ingress(objects, first, host, caller)
    except NoIngress:
        for each in others:
            with contextlib.suppress(NoIngress):
                return find_ingress(objects, each, host, caller)
        raise


def find_ingress(
    objects: Objects, routes: Routes, host: str | None = None, caller: Proxy | None = None
) -> Ingress:
    """Return a proxy, a port and a Host that lead to routes; raise NoIngress.

    ``host`` is a name that clients ask for; without it, it is the first. ``caller`` is inside the
    mesh; without it, requests come through a gateway, or if the routes are bound only to ``mesh``,
    from their namespace.
    """
    if isinstance(routes, VirtualService):
        return _ingress_of(objects, routes, host, caller)
    made = istio_routes_of(objects, routes)
    for each in sorted(made, key=lambda it: MESH in it.gateways):
        with contextlib.suppress(NoIngress):
            return _ingress_of(with_gateway_api(objects), each, host, caller)
    title = f"{routes.kind} {routes.namespace}/{routes.name}"
    raise NoIngress(
        f"{title}: none of its parents has {host or 'callers inside the mesh'}"
        if made
        else f"{title}: no listener of a Gateway of Istio's, and no Service, among the manifests"
        " takes it; tallykv-rollout lint says why"
    )


def _ingress_of(
    objects: Objects, virtual_service: VirtualService, host: str | None, caller: Proxy | None
) -> Ingress:
    if caller:
        return _inside(objects, virtual_service, host, caller)
    named = [each for each in virtual_service.gateways if each != MESH]
    for gateway in objects.gateways:
        if f"{gateway.namespace}/{gateway.name}" not in named:
            continue
        proxy = gateway_proxy(objects, gateway)
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


def gateway_proxy(objects: Objects, gateway: Gateway) -> Proxy:
    """Return the proxy that a Gateway selects: a workload's, else one in the root namespace.

    For a Gateway of the Gateway API, istiod runs it in the Gateway's namespace.
    """
    selector, own = gateway.spec.selector, has_gateway_semantics(gateway)
    for each in objects.workloads:
        if own and each.namespace != gateway.namespace:
            continue
        if selector and each.has_labels(selector):
            return Proxy.gateway(each.labels, each.namespace, each.service_account)
    return Proxy.gateway(selector, gateway.namespace) if own else Proxy.gateway(selector)


def _concrete(host: str) -> str:
    """Return a host name that a wildcard matches; return any other host as it is."""
    if host == "*":
        return "rehearsal.test"
    return f"rehearsal{host[1:]}" if host.startswith("*.") else host
