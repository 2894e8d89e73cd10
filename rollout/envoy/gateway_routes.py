"""The routes of a Gateway port: for each host that a Gateway and a VirtualService share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..manifests.gateway import Gateway, Server
from ..manifests.hosts import expand_host, overlap
from ..manifests.virtual_service import VirtualService
from .configuration import Objects, Resource
from .resource_names import routes_name
from .routes import GatewayPort, catch_alls_last, route_configuration, routes, virtual_host
from .service_registry import ServiceRegistry


@dataclass(slots=True)
class _Host:
    routes: list[Resource] = field(default_factory=list)
    require_tls: bool = False


def gateway_routes(port: int, objects: Objects, registry: ServiceRegistry) -> Resource:
    """Return the route configuration of a port, for all Gateways that listen on it."""
    hosts: dict[str, _Host] = {}
    for gateway, server in _servers(port, objects.gateways):
        redirects = server.tls is not None and server.tls.https_redirect
        for service in _bound(gateway, objects.virtual_services):
            gateway_port = GatewayPort(_qualified(gateway), port, tls=server.tls is not None)
            found = routes(service, gateway_port, registry)
            for domain in _shared_hosts(gateway, server, service) if found else ():
                host = hosts.setdefault(domain, _Host())
                host.routes += found
                host.require_tls |= redirects
        if redirects:
            # Hosts without a VirtualService are redirected, too.
            for domain in server.domains:
                hosts.setdefault(domain.lower(), _Host()).require_tls = True
    return route_configuration(
        routes_name(port),
        (
            virtual_host(
                f"{domain}:{port}",
                [domain],
                catch_alls_last(host.routes),
                require_tls=host.require_tls,
            )
            for domain, host in hosts.items()
        ),
        any_port=True,
    )


def has_servers(port: int, gateways: Iterable[Gateway]) -> bool:
    """Return True if a Gateway listens on a port."""
    return any(True for _ in _servers(port, gateways))


def narrower_host(one: str, other: str) -> str:
    """Return the more specific of two overlapping hosts, each a name or a wildcard."""
    return max(one, other, key=lambda host: (not host.startswith("*"), len(host)))


def _servers(port: int, gateways: Iterable[Gateway]) -> Iterator[tuple[Gateway, Server]]:
    for gateway in gateways:
        for server in gateway.spec.servers:
            if server.port.number == port:
                yield gateway, server


def _qualified(gateway: Gateway) -> str:
    return f"{gateway.namespace}/{gateway.name}"


def _bound(gateway: Gateway, services: Iterable[VirtualService]) -> Iterator[VirtualService]:
    return (each for each in services if _qualified(gateway) in each.gateways)


def _shared_hosts(gateway: Gateway, server: Server, service: VirtualService) -> tuple[str, ...]:
    """Return the hosts that the server and the VirtualService share, without duplicates."""
    found = []
    for written in server.hosts:
        namespace, _, domain = written.rpartition("/")
        if namespace == ".":
            namespace = gateway.namespace
        if namespace not in {"", "*", service.namespace}:
            continue
        for each in service.spec.hosts:
            host = expand_host(each, service.namespace)
            if overlap(domain, host):
                found.append(narrower_host(domain, host).lower())
    return tuple(dict.fromkeys(found))
