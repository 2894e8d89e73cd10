"""What a sidecar does with its callers' connections: a route table or a TCP proxy per port."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..manifests.hosts import overlap
from ..manifests.virtual_service import MESH
from .configuration import Resource
from .l4_routes import L4Chain, matches, tls_chains, to_cluster, to_destinations
from .protocol_selection import Protocol, parse_protocol
from .resource_names import cluster_name
from .scope import Egress, Scope
from .services import MeshPort, MeshService, Resolution
from .sidecar_routes import SidecarRoutes, passthrough_host
from .virtual_services import hosts_of

#: Listens at any address: for services without an address of their own.
_ANY: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - the name of an address, nothing listens here


@dataclass(frozen=True, slots=True)
class TcpListener:
    """Connections to a port of a service; ``address`` is empty for the Service's own address."""

    host: str
    address: str
    port: int
    chains: tuple[L4Chain, ...]


@dataclass(slots=True)
class SidecarListeners:
    """``routes`` has the virtual hosts by port; ``tcp`` has the listeners without HTTP."""

    routes: dict[int, list[Resource]] = field(default_factory=dict)
    tcp: list[TcpListener] = field(default_factory=list)


def sidecar_listeners(scope: Scope) -> SidecarListeners:
    """Return what istiod sends to a sidecar for connections to other services.

    A headless Service has a listener for each pod at ports without HTTP in their names; those are
    left out here.
    """
    found = SidecarListeners()
    locked: set[int] = set()
    for egress in scope.egress:
        tables = SidecarRoutes(egress, scope)
        protocol = parse_protocol(egress.port.protocol) if egress.port else None
        plain: set[int] = set()
        detected: dict[int, str] = {}
        for service, port in _ports(egress):
            kind = protocol or port.protocol
            if port.number in locked:
                continue
            if kind.is_http or (kind is Protocol.DETECTED and not _has_address(service)):
                plain.add(port.number)
            elif service.is_headless:
                continue
            elif kind is Protocol.DETECTED:
                detected.setdefault(port.number, service.host)
            elif kind is not Protocol.UDP:
                found.tcp += _tcp(service, port, kind, egress, scope)
        for number in sorted(plain):
            others = passthrough_host(registry_only=scope.registry_only)
            found.routes[number] = [*tables.virtual_hosts(number), others]
        for number in sorted(detected.keys() - plain):
            found.routes[number] = _any_host(tables.virtual_hosts(number), detected[number])
        if egress.port:
            locked.add(egress.port.number)
    return found


def hosts_by_port(scope: Scope) -> dict[int, list[Resource]]:
    """Return the virtual hosts that callers may name, by port, also where they are not needed."""
    found: dict[int, list[Resource]] = {}
    for egress in scope.egress:
        tables = SidecarRoutes(egress, scope)
        numbers = {port.number for _, port in _ports(egress) if port.protocol.has_routes}
        for number in sorted(numbers - found.keys()):
            found[number] = tables.virtual_hosts(number)
    return found


def _ports(egress: Egress) -> Iterator[tuple[MeshService, MeshPort]]:
    for service in egress.services:
        for port in service.ports if service.resolution is not Resolution.ALIAS else ():
            if egress.port is None or port.number == egress.port.number:
                yield service, port


def _has_address(service: MeshService) -> bool:
    """Return True if callers reach the service, or each of its pods, at an address of its own."""
    return service.in_kubernetes or bool(service.vips)


def _any_host(hosts: list[Resource], host: str) -> list[Resource]:
    """Return the routes of a service whose address tells it from others: any Host means it."""
    return [{**each, "domains": ["*"]} for each in hosts if host in each["domains"]]


def _tcp(
    service: MeshService, port: MeshPort, protocol: Protocol, egress: Egress, scope: Scope
) -> Iterator[TcpListener]:
    chains = tuple(_chains(service, port, protocol, egress, scope))
    addresses = ("",) if service.in_kubernetes else service.vips or _ANY
    for address in addresses:
        yield TcpListener(service.host, address, port.number, chains)


def _chains(
    service: MeshService, port: MeshPort, protocol: Protocol, egress: Egress, scope: Scope
) -> Iterator[L4Chain]:
    services = [
        each
        for each in egress.virtual_services
        if any(overlap(host, service.host) for host in hosts_of(each))
    ]
    default = to_cluster(cluster_name(service.host, port.number))
    if protocol is Protocol.TLS:
        chains: dict[tuple[tuple[str, ...], ...], L4Chain] = {}
        for each in tls_chains(services, MESH, port.number, scope):
            chains.setdefault((each.server_names, each.subnets), each)
        by_name = not _has_address(service)
        yield from chains.values() or [L4Chain(default, (service.host,) if by_name else ())]
        return
    for virtual in services:
        for route in virtual.spec.tcp:
            if not route.match:
                proxy = to_destinations(route.route, scope, virtual.namespace, port.number)
                yield L4Chain(proxy)
                return
            applying = [
                each
                for each in route.match
                if matches(each, virtual, MESH, port.number, scope.proxy)
            ]
            if not applying:
                continue
            proxy = to_destinations(route.route, scope, virtual.namespace, port.number)
            if any(not each.destination_subnets for each in applying):
                yield L4Chain(proxy)
                return
            subnets = tuple(each for one in applying for each in one.destination_subnets)
            yield L4Chain(proxy, subnets=subnets)
    yield L4Chain(default)
