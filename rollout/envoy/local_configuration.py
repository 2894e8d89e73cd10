"""The configuration of an Envoy on this machine: a gateway's, or a caller's inside the mesh.

It routes as istiod's configuration does. Everything is plaintext, and all endpoints are local pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .clusters import Cluster, clusters
from .configuration import Configuration, LocalAddresses, Objects, PodPort, Resource
from .downstream_tls import server_transport_socket, with_certificate
from .endpoints import Endpoint, load_assignment
from .gateway_api import with_gateway_api
from .gateway_routes import gateway_routes
from .gateway_servers import GatewayServer, gateways_of, merge_servers
from .listeners import gateway_listener, mesh_listener
from .load_balancing import lb_policy
from .proxy import Proxy
from .resource_names import MESH_ROUTES, ClusterName, routes_name, stat_name
from .routes import route_configuration
from .scope import Scope
from .services import MeshService
from .sidecar_listeners import hosts_by_port

#: Fields of clusters that need certificates, name servers, or the caller's own address.
_NOT_LOCAL: Final = frozenset(
    {
        "transport_socket",
        "transport_socket_matches",
        "dns_refresh_rate",
        "dns_jitter",
        "respect_dns_ttl",
        "dns_lookup_family",
        "typed_dns_resolver_config",
    }
)
#: The port of a Host header without a port.
_HTTP: Final = 80


def gateway_configuration(objects: Objects, local: LocalAddresses, proxy: Proxy) -> Configuration:
    """Return the resources of a gateway, with a listener for each port that has an address.

    A port that decrypts connections has one certificate for all its servers, and their routes: no
    server name (SNI) tells them apart.
    """
    objects = with_gateway_api(objects)
    scope = Scope(objects, proxy)
    servers = _servers_by_port(objects, proxy)
    ports = [each for each in local.listeners if each in servers]
    return _configuration(
        scope,
        local,
        [
            gateway_listener(each, local.listeners[each], _tls(servers[each], local))
            for each in ports
        ],
        [_merged_routes(each, servers[each], scope) for each in ports],
    )


def mesh_configuration(objects: Objects, local: LocalAddresses, proxy: Proxy) -> Configuration:
    """Return the resources for a caller with a sidecar, with one listener for all ports.

    ``kv:8080`` means port 8080 of kv. ``kv`` means its port 80, or its lowest port if it has no
    port 80. Other hosts than those of the mesh are not found (404).
    """
    objects = with_gateway_api(objects)
    scope = Scope(objects, proxy)
    listeners = [mesh_listener(local.mesh)] if local.mesh else []
    routes = [_mesh_routes(scope)] if local.mesh else []
    return _configuration(scope, local, listeners, routes)


def http_ports(objects: Objects, proxy: Proxy) -> tuple[int, ...]:
    """Return the ports at which a gateway answers HTTP requests, sorted."""
    return tuple(sorted(_servers_by_port(objects, proxy)))


def encrypted_hosts(objects: Objects, proxy: Proxy) -> Mapping[int, tuple[str, ...]]:
    """Return the hosts at each port whose servers all decrypt with only their own certificate."""
    return {
        port: tuple(
            host.rpartition("/")[2] for each in servers for one in each for host in one.hosts
        )
        for port, servers in _servers_by_port(objects, proxy).items()
        if all(_is_simple(one) for each in servers for one in each)
    }


def _is_simple(server: GatewayServer) -> bool:
    tls = server.server.tls
    return tls is not None and server.terminates and tls.mode == "SIMPLE"


def _tls(servers: list[list[GatewayServer]], local: LocalAddresses) -> Resource | None:
    tls = servers[0][0].server.tls
    simple = all(_is_simple(one) for each in servers for one in each)
    if local.certificate is None or tls is None or not simple:
        return None
    return with_certificate(server_transport_socket(tls, http=True), local.certificate)


def _servers_by_port(objects: Objects, proxy: Proxy) -> Mapping[int, list[list[GatewayServer]]]:
    """Return the servers of each route configuration, by port."""
    merged = merge_servers(gateways_of(proxy, with_gateway_api(objects).gateways))
    found: dict[int, list[list[GatewayServer]]] = {}
    for name, servers in merged.by_routes.items():
        if name:
            found.setdefault(servers[0].port, []).append(servers)
    return found


def _merged_routes(port: int, servers: list[list[GatewayServer]], scope: Scope) -> Resource:
    hosts: dict[str, Resource] = {}
    for each in servers:
        for host in gateway_routes(each[0].routes, each, scope)["virtual_hosts"]:
            for domain in host["domains"] if host["routes"] or "require_tls" in host else ():
                hosts.setdefault(domain, host)
    return route_configuration(routes_name(port), hosts.values(), any_port=True)


def _mesh_routes(scope: Scope) -> Resource:
    tables = hosts_by_port(scope)
    taken: set[str] = set()
    hosts = []
    for port in sorted(tables, key=lambda each: (each != _HTTP, each)):
        for host in tables[port]:
            bare = [each for each in host["domains"] if each not in taken]
            taken.update(bare)
            domains = [*bare, *(f"{each}:{port}" for each in host["domains"] if each != "*")]
            hosts.append({**host, "domains": domains})
    return route_configuration(MESH_ROUTES, hosts, any_port=False)


def _configuration(
    scope: Scope, local: LocalAddresses, listeners: list[Any], routes: list[Resource]
) -> Configuration:
    known = tuple(clusters(scope))
    return Configuration(
        listeners=tuple(listeners),
        route_configurations=tuple(routes),
        clusters=tuple(_local_cluster(each) for each in known),
        load_assignments={
            each.name: load_assignment(each.name, _endpoints(each, scope, local), local)
            for each in known
        },
    )


def is_elsewhere(service: MeshService, objects: Objects) -> bool:
    """Return True if the pods of a service are not among the objects.

    A selector that selects no workload is a mistake if its namespace has workloads.
    """
    return not service.selector or not any(
        each.namespace == service.namespace for each in objects.workloads
    )


def _endpoints(cluster: Cluster, scope: Scope, local: LocalAddresses) -> list[Endpoint]:
    """Return the endpoints of a cluster: nothing of a rehearsal leaves this machine."""
    pods: list[Endpoint] = [each for each in cluster.endpoints if isinstance(each, PodPort)]
    service = scope.services.get(ClusterName.parse(cluster.name).host)
    if local.elsewhere and not pods and service and is_elsewhere(service, scope.objects):
        return [local.elsewhere]
    return pods


def _local_cluster(cluster: Cluster) -> Resource:
    fields = {name: each for name, each in cluster.resource.items() if name not in _NOT_LOCAL}
    if fields["lb_policy"] == "CLUSTER_PROVIDED":
        fields |= lb_policy(None)
    # All pods are in one place.
    shared = dict(fields.pop("common_lb_config", {}))
    shared.pop("locality_weighted_lb_config", None)
    return {
        **fields,
        **({"common_lb_config": shared} if shared else {}),
        "type": "EDS",
        "eds_cluster_config": {"service_name": cluster.name},
        "alt_stat_name": stat_name(cluster.name),
    }
