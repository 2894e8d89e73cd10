"""Connections that are forwarded without looking at requests: TCP and TLS routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.destinations import RouteDestination
from ..manifests.hosts import expand_host
from ..manifests.l4_routes import L4Match, TlsMatch
from ..manifests.virtual_service import VirtualService
from .protobuf_json import extension
from .proxy import Proxy
from .resource_names import cluster_name
from .scope import Scope

_TCP_PROXY: Final = "envoy.filters.network.tcp_proxy"
_TCP_PROXY_MESSAGE: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


@dataclass(frozen=True, slots=True)
class L4Chain:
    """A TCP proxy for connections to some server names (SNI) and address ranges; none mean all."""

    tcp_proxy: Mapping[str, Any]
    server_names: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()


def to_cluster(name: str) -> dict[str, Any]:
    """Return a TCP proxy to one cluster."""
    return extension(_TCP_PROXY, _TCP_PROXY_MESSAGE, stat_prefix=name, cluster=name)


def to_destinations(
    route: Sequence[RouteDestination], scope: Scope, namespace: str, port: int
) -> dict[str, Any]:
    """Return a TCP proxy that splits connections by weight; short hosts are of ``namespace``."""
    if len(route) == 1:
        return to_cluster(_cluster(route[0], scope, namespace, port))
    clusters = [
        {"name": _cluster(each, scope, namespace, port), "weight": each.weight}
        for each in route
        if each.weight
    ]
    return extension(
        _TCP_PROXY,
        _TCP_PROXY_MESSAGE,
        stat_prefix=f"{port}",
        weighted_clusters={"clusters": clusters},
    )


def matches(
    match: L4Match | TlsMatch, service: VirtualService, gateway: str, port: int, proxy: Proxy
) -> bool:
    """Return True if a match applies at a gateway's or the mesh's port for this caller.

    As in istiod, a gateway's own labels and namespace do not count.
    """
    gateways = [service.qualify(each) for each in match.gateways]
    here = (not gateways or gateway in gateways) and match.port in {None, port}
    return here and (
        proxy.is_gateway
        or (
            proxy.has_labels(match.source_labels)
            and match.source_namespace in {None, "", proxy.namespace}
        )
    )


def first_tcp_route(
    services: Iterable[VirtualService], gateway: str, port: int, scope: Scope
) -> dict[str, Any] | None:
    """Return the TCP proxy of a gateway's port, None without a TCP route that applies."""
    for service in services:
        for route in service.spec.tcp:
            applies = not route.match or any(
                matches(each, service, gateway, port, scope.proxy) for each in route.match
            )
            if applies and route.route:
                return to_destinations(route.route, scope, service.namespace, port)
    return None


def tls_chains(
    services: Iterable[VirtualService], gateway: str, port: int, scope: Scope
) -> Iterator[L4Chain]:
    """Yield a chain for each match of a TLS route that applies."""
    for service in services:
        for route in service.spec.tls:
            for match in route.match if route.route else ():
                if matches(match, service, gateway, port, scope.proxy):
                    proxy = to_destinations(route.route, scope, service.namespace, port)
                    yield L4Chain(proxy, match.sni_hosts, match.destination_subnets)


def _cluster(each: RouteDestination, scope: Scope, namespace: str, listener_port: int) -> str:
    destination = each.destination
    host = expand_host(destination.host, namespace)
    service = scope.services.get(host)
    port = listener_port
    if destination.port:
        port = destination.port.number
    elif service and len(service.ports) == 1:
        port = service.ports[0].number
    if service and service.external_name:
        host = service.external_name
    return cluster_name(host, port, destination.subset)
