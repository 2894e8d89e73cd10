"""Translates the applied objects to what istiod would send to one proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .clusters import Cluster, clusters
from .configuration import Objects, Resource
from .gateway_api import with_gateway_api
from .gateway_listeners import filter_chains
from .gateway_routes import gateway_routes
from .gateway_servers import gateways_of, merge_servers
from .proxy import Proxy
from .scope import Scope
from .sidecar_listeners import TcpListener, sidecar_listeners


@dataclass(frozen=True, slots=True)
class ProxyConfiguration:
    """What istiod would send to a proxy, without the addresses of pods.

    ``chains`` has a gateway's filter chains by port; ``routes`` its route configurations by name.
    ``hosts`` has a sidecar's virtual hosts by port, ``tcp`` its listeners without HTTP.
    """

    clusters: tuple[Cluster, ...]
    chains: Mapping[int, list[Resource]]
    routes: Mapping[str, Resource]
    hosts: Mapping[int, list[Resource]]
    tcp: tuple[TcpListener, ...]


def translate(objects: Objects, proxy: Proxy) -> ProxyConfiguration:
    """Return a proxy's configuration; the same input gives the same resources in the same order.

    The order of the objects does not matter, as in a cluster.
    """
    objects = with_gateway_api(objects)
    scope = Scope(objects, proxy)
    known = tuple(clusters(scope))
    if proxy.is_gateway:
        merged = merge_servers(gateways_of(proxy, objects.gateways))
        chains: dict[int, list[Resource]] = {}
        for listener in merged.listeners:
            if found := filter_chains(listener, scope):
                chains.setdefault(listener.port, []).extend(found)
        routes = {
            name: gateway_routes(name, servers, scope)
            for name, servers in merged.by_routes.items()
            if name
        }
        return ProxyConfiguration(known, chains, routes, {}, ())
    sidecar = sidecar_listeners(scope)
    return ProxyConfiguration(known, {}, {}, sidecar.routes, tuple(sidecar.tcp))
