"""What a gateway listens on: the filter chains of each port, by server name (SNI)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..manifests.hosts import overlap
from .configuration import Resource
from .downstream_tls import server_transport_socket
from .gateway_servers import GatewayServer, Listener
from .l4_routes import first_tcp_route, tls_chains
from .listeners import gateway_manager
from .scope import Scope
from .virtual_services import hosts_of


def filter_chains(listener: Listener, scope: Scope) -> list[Resource]:
    """Return the filter chains of a port; without any, istiod sends no listener.

    All plaintext HTTP servers share a chain; each other server has its own.
    """
    found: list[Resource] = []
    plain: set[str] = set()
    names: set[str] = set()
    for server in listener.servers:
        if server.protocol.is_http:
            if server.routes not in plain:
                plain.add(server.routes)
                found.append(_chain([_manager(server, scope)]))
        elif server.routes:
            found.append(_chain([_manager(server, scope)], server.server_names, server))
        else:
            found += _l4_chains(server, scope, names)
    return found


def _manager(server: GatewayServer, scope: Scope) -> Resource:
    return gateway_manager(server.port, server.routes, scope.request_filters)


def _l4_chains(server: GatewayServer, scope: Scope, names: set[str]) -> Iterator[Resource]:
    services = [
        each
        for each in scope.virtual_services.bound_to(server.gateway, scope.proxy.namespace)
        if any(
            overlap(one, other)
            for one in server.hosts_for(each.namespace)
            for other in hosts_of(each)
        )
    ]
    if server.server.tls and not server.terminates:
        for chain in tls_chains(services, server.gateway, server.port, scope):
            # Envoy rejects two chains for one name: the first counts.
            if names.isdisjoint(chain.server_names):
                names.update(chain.server_names)
                yield _chain([chain.tcp_proxy], chain.server_names)
    elif proxy := first_tcp_route(services, server.gateway, server.port, scope):
        if server.terminates:
            yield _chain([proxy], server.server_names, server)
        else:
            yield _chain([proxy])


def _chain(
    filters: list[Any], names: tuple[str, ...] = (), terminating: GatewayServer | None = None
) -> dict[str, Any]:
    tls = terminating.server.tls if terminating else None
    http = terminating is not None and bool(terminating.routes)
    specific = names and "*" not in names
    return {
        **({"filter_chain_match": {"server_names": list(names)}} if specific else {}),
        **({"transport_socket": server_transport_socket(tls, http=http)} if tls else {}),
        "filters": filters,
    }
