"""The routes for callers inside the mesh: of VirtualServices bound to ``mesh``, and of Services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ..manifests.hosts import ServiceName, expand_host, overlap
from ..manifests.kubernetes import Service
from ..manifests.virtual_service import MESH, VirtualService
from .configuration import Objects, Resource
from .resource_names import MESH_ROUTES, cluster_name
from .route_action import default_route
from .routes import GatewayPort, route_configuration, routes, virtual_host
from .service_registry import ServiceRegistry, http_ports

#: The port of a Host header without a port.
_HTTP: Final = 80


class _HostPort(NamedTuple):
    """The routes of one host at one port.

    ``names`` are the host names, without a port, that clients may use. ``is_default`` is True if
    the names without a port mean this port.
    """

    host: str
    names: tuple[str, ...]
    port: int
    is_default: bool
    routes: Sequence[Resource]


def mesh_routes(objects: Objects, registry: ServiceRegistry) -> Resource:
    """Return the route configuration for callers inside the mesh, for all ports.

    ``kv:8080`` means port 8080 of kv. ``kv`` means its port 80, or its first port if it has no port
    80. Of several VirtualServices for a host, the first counts: istiod merges them only at
    Gateways. A short name that Services of several namespaces have is omitted, because its meaning
    depends on the caller's namespace.
    """
    taken: set[str] = set()
    hosts = []
    for each in (*_virtual_service_routes(objects, registry), *_default_routes(objects, registry)):
        domains = [
            domain
            for name in each.names
            for domain in (*([name] if each.is_default else ()), f"{name}:{each.port}")
            if each.routes and domain not in taken
        ]
        if domains:
            taken.update(domains)
            hosts.append(virtual_host(f"{each.host}:{each.port}", domains, each.routes))
    return route_configuration(MESH_ROUTES, hosts, any_port=False)


def _virtual_service_routes(objects: Objects, registry: ServiceRegistry) -> Iterator[_HostPort]:
    """Yield the routes of VirtualServices, longer hosts before shorter ones, ``*`` last."""
    bound = [
        (expand_host(host, each.namespace).lower(), each)
        for each in objects.virtual_services
        if MESH in each.gateways
        for host in each.spec.hosts
    ]
    for host, virtual in sorted(bound, key=lambda pair: (pair[0][0] == "*", -len(pair[0]))):
        matching = [each for each in registry.services if overlap(_host(each), host)]
        for service in matching:
            for port in _ports(service):
                found = routes(virtual, GatewayPort(MESH, port), registry)
                yield _host_port(service, port, found, objects)
        if not matching:
            # A host without a Service is served at all ports of the VirtualService's Services.
            ports = _ports_of_all(virtual, registry) or (_HTTP,)
            for port in ports:
                found = routes(virtual, GatewayPort(MESH, port), registry)
                yield _HostPort(host, (host,), port, port == _default(ports), found)


def _default_routes(objects: Objects, registry: ServiceRegistry) -> Iterator[_HostPort]:
    """Yield the default route of each Service port."""
    for service in registry.services:
        for port in _ports(service):
            cluster = cluster_name(_host(service), port)
            route = default_route(cluster, registry.policy(_host(service)))
            yield _host_port(service, port, [route], objects)


def _host_port(
    service: Service, port: int, routes: Sequence[Resource], objects: Objects
) -> _HostPort:
    aliases = (each for each in objects.services if each.external_name == _host(service))
    names = [name for each in (service, *aliases) for name in _names(each, objects)]
    default = _default(_ports(service))
    return _HostPort(_host(service), tuple(names), port, port == default, routes)


def _names(service: Service, objects: Objects) -> Iterator[str]:
    count = Counter(each.name for each in objects.services)
    if count[service.name] == 1:
        yield service.name
    yield f"{service.name}.{service.namespace}"
    yield f"{service.name}.{service.namespace}.svc"
    yield _host(service)


def _host(service: Service) -> str:
    return ServiceName(service.namespace, service.name).host


def _ports(service: Service) -> tuple[int, ...]:
    return tuple(each.number for each in http_ports(service))


def _ports_of_all(virtual: VirtualService, registry: ServiceRegistry) -> tuple[int, ...]:
    """Return the ports of all Services that the VirtualService's hosts match."""
    hosts = [expand_host(each, virtual.namespace) for each in virtual.spec.hosts]
    found = [
        port
        for service in registry.services
        if any(overlap(_host(service), host) for host in hosts)
        for port in _ports(service)
    ]
    return tuple(dict.fromkeys(found))


def _default(ports: Iterable[int]) -> int | None:
    """Return the port that a name without a port means."""
    found = tuple(ports)
    return _HTTP if _HTTP in found else next(iter(found), None)
