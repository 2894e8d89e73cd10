"""What a Gateway's port answers: the hosts that it and a VirtualService both name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..manifests.gateway import Gateway, Server
from ..manifests.hosts import expand_host, overlap
from ..manifests.virtual_service import VirtualService
from .configuration import Objects, Resource
from .names import routes_name
from .registry import Registry
from .routes import Entrance, catch_alls_last, routes
from .virtual_hosts import route_configuration, virtual_host


@dataclass(slots=True)
class _Host:
    routes: list[Resource] = field(default_factory=list)
    require_tls: bool = False


def gateway_routes(port: int, objects: Objects, registry: Registry) -> Resource:
    """Return the route configuration of a port, for all Gateways that listen there."""
    hosts: dict[str, _Host] = {}
    for gateway, server in _servers(port, objects.gateways):
        redirects = server.tls is not None and server.tls.https_redirect
        for service in _bound(gateway, objects.virtual_services):
            entrance = Entrance(_qualified(gateway), port, tls=server.tls is not None)
            made = routes(service, entrance, registry)
            for domain in _shared(gateway, server, service) if made else ():
                host = hosts.setdefault(domain, _Host())
                host.routes += made
                host.require_tls |= redirects
        if redirects:
            # Those that no VirtualService names are redirected all the same.
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
    """Tell whether any Gateway listens at a port."""
    return any(True for _ in _servers(port, gateways))


def _servers(port: int, gateways: Iterable[Gateway]) -> Iterator[tuple[Gateway, Server]]:
    for gateway in gateways:
        for server in gateway.spec.servers:
            if server.port.number == port:
                yield gateway, server


def _qualified(gateway: Gateway) -> str:
    return f"{gateway.namespace}/{gateway.name}"


def _bound(gateway: Gateway, services: Iterable[VirtualService]) -> Iterator[VirtualService]:
    return (each for each in services if _qualified(gateway) in each.gateways)


def _shared(gateway: Gateway, server: Server, service: VirtualService) -> tuple[str, ...]:
    """Return the hosts that both name, of a name and a wildcard the narrower one."""
    found = []
    for written in server.hosts:
        namespace, _, offered = written.rpartition("/")
        if namespace == ".":
            namespace = gateway.namespace
        if namespace not in {"", "*", service.namespace}:
            continue
        for each in service.spec.hosts:
            wanted = expand_host(each, service.namespace)
            if overlap(offered, wanted):
                found.append(max(offered, wanted, key=_narrowness).lower())
    return tuple(dict.fromkeys(found))


def _narrowness(host: str) -> tuple[bool, int]:
    return not host.startswith("*"), len(host)
