"""What callers inside the mesh reach: Services by their names, by VirtualServices where bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ..manifests.hosts import ServiceName, expand_host, overlap
from ..manifests.kubernetes import Service
from ..manifests.virtual_service import MESH, VirtualService
from .configuration import Objects, Resource
from .forwarding import default_route
from .names import MESH_ROUTES, cluster_name
from .registry import Registry, http_ports
from .routes import Entrance, routes
from .virtual_hosts import route_configuration, virtual_host

#: What a host without a port stands for.
_HTTP: Final = 80


class _Claim(NamedTuple):
    """Hosts at a port, and what becomes of requests to them; ``names`` have no port."""

    title: str
    names: tuple[str, ...]
    port: int
    bare: bool
    routes: Sequence[Resource]


def mesh_routes(objects: Objects, registry: Registry) -> Resource:
    """Return the route configuration of callers inside the mesh, of all ports together.

    ``kv:8080`` is the port 8080 of kv, and ``kv`` its port 80, or its first if it has no such port.
    The first VirtualService of a host counts: sidecars don't merge them. A short name that several
    namespaces have is left out, because it depends on the caller.
    """
    taken: set[str] = set()
    hosts = []
    for claim in (*_governed(objects, registry), *_plain(objects, registry)):
        domains = [
            domain
            for name in claim.names
            for domain in (*([name] if claim.bare else ()), f"{name}:{claim.port}")
            if claim.routes and domain not in taken
        ]
        if domains:
            taken.update(domains)
            hosts.append(virtual_host(f"{claim.title}:{claim.port}", domains, claim.routes))
    return route_configuration(MESH_ROUTES, hosts, any_port=False)


def _governed(objects: Objects, registry: Registry) -> Iterator[_Claim]:
    """Yield what VirtualServices say, those that name a host in full before the wildcards."""
    bound = [
        (expand_host(host, each.namespace).lower(), each)
        for each in objects.virtual_services
        if MESH in each.gateways
        for host in each.spec.hosts
    ]
    for host, virtual in sorted(bound, key=lambda pair: (pair[0][0] == "*", -len(pair[0]))):
        fitting = [each for each in registry.services if overlap(_host(each), host)]
        for service in fitting:
            for port in _ports(service):
                made = routes(virtual, Entrance(MESH, port), registry)
                yield _claim(service, port, made, objects)
        if not fitting:
            # Any port at which the VirtualService has a Service may be asked for such a host.
            ports = _ports_of_all(virtual, registry) or (_HTTP,)
            for port in ports:
                made = routes(virtual, Entrance(MESH, port), registry)
                yield _Claim(host, (host,), port, port == _default(ports), made)


def _plain(objects: Objects, registry: Registry) -> Iterator[_Claim]:
    """Yield the Services as they are reached where no VirtualService says otherwise."""
    for service in registry.services:
        for port in _ports(service):
            cluster = cluster_name(_host(service), port)
            route = default_route(cluster, registry.policy(_host(service)))
            yield _claim(service, port, [route], objects)


def _claim(service: Service, port: int, routes: Sequence[Resource], objects: Objects) -> _Claim:
    aliases = (each for each in objects.services if each.external_name == _host(service))
    names = [name for each in (service, *aliases) for name in _names(each, objects)]
    default = _default(_ports(service))
    return _Claim(_host(service), tuple(names), port, port == default, routes)


def _names(service: Service, objects: Objects) -> Iterator[str]:
    namesakes = Counter(each.name for each in objects.services)
    if namesakes[service.name] == 1:
        yield service.name
    yield f"{service.name}.{service.namespace}"
    yield f"{service.name}.{service.namespace}.svc"
    yield _host(service)


def _host(service: Service) -> str:
    return ServiceName(service.namespace, service.name).host


def _ports(service: Service) -> tuple[int, ...]:
    return tuple(each.number for each in http_ports(service))


def _ports_of_all(virtual: VirtualService, registry: Registry) -> tuple[int, ...]:
    hosts = [expand_host(each, virtual.namespace) for each in virtual.spec.hosts]
    found = [
        port
        for service in registry.services
        if any(overlap(_host(service), host) for host in hosts)
        for port in _ports(service)
    ]
    return tuple(dict.fromkeys(found))


def _default(ports: Iterable[int]) -> int | None:
    """Return the port that is meant where none is said."""
    found = tuple(ports)
    return _HTTP if _HTTP in found else next(iter(found), None)
