"""The routes of a gateway's servers: for each host that a Gateway and a VirtualService share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..manifests.hosts import overlap
from .configuration import Resource
from .gateway_servers import GatewayServer
from .host_matching import narrower_host
from .route_action import RouteActions
from .routes import GatewayPort, catch_alls_last, route_configuration, routes, virtual_host
from .scope import Scope
from .virtual_services import hosts_of


@dataclass(slots=True)
class _Host:
    routes: list[Resource] = field(default_factory=list)
    require_tls: bool = False


def gateway_routes(name: str, servers: Sequence[GatewayServer], scope: Scope) -> Resource:
    """Return a route configuration for the servers that share it."""
    hosts: dict[str, _Host] = {}
    built: dict[tuple[str, str, str], tuple[Resource, ...]] = {}
    for each in servers:
        gateway_port = GatewayPort(each.gateway, each.port, tls=each.server.tls is not None)
        for service in scope.virtual_services.bound_to(each.gateway, scope.proxy.namespace):
            shared = _shared_hosts(each.hosts_for(service.namespace), hosts_of(service))
            if not shared:
                continue
            key = (each.gateway, service.namespace, service.name)
            if key not in built:
                actions = RouteActions(scope, service, each.port)
                built[key] = routes(service, gateway_port, actions, scope.proxy)
            for domain in shared if built[key] else ():
                host = hosts.setdefault(domain, _Host())
                host.routes += built[key]
                host.require_tls |= each.redirects
        # Hosts without a VirtualService are redirected, too.
        for written in each.hosts if each.redirects else ():
            hosts.setdefault(written.lower(), _Host()).require_tls = True
    port = servers[0].port
    return route_configuration(
        name,
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


def _shared_hosts(offered: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts that a server and a VirtualService share, without duplicates."""
    found = [
        narrower_host(one, other).lower()
        for one in offered
        for other in wanted
        if overlap(one, other)
    ]
    return tuple(dict.fromkeys(found))
