"""The configuration of an Envoy on this machine: a gateway's, or a caller's inside the mesh.

It routes as istiod's configuration does. All endpoints are local pods. Connections to them are
plaintext, but where a policy asks who the caller is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .clusters import Cluster, clusters
from .configuration import Configuration, LocalAddresses, Objects, PodPort, Resource
from .downstream_tls import server_transport_socket
from .endpoints import Endpoint, load_assignment
from .gateway_api import with_gateway_api
from .gateway_listeners import filter_chains
from .gateway_routes import gateway_routes
from .gateway_servers import MergedServers, gateways_of, merge_servers
from .inbound import inbound
from .listeners import gateway_listener, mesh_listener
from .load_balancing import lb_policy
from .local_secrets import certificate_names, trust_name, with_files
from .proxy import Proxy
from .resource_names import MESH_ROUTES, ClusterName, stat_name
from .routes import route_configuration
from .scope import Scope
from .services import MeshService
from .sidecar_listeners import hosts_by_port
from .upstream_tls import mutual_socket, with_mutual_tls

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


class GatewaySecrets(NamedTuple):
    """The secrets of a gateway: the hosts of each certificate, and what verifies its clients'.

    ``ports`` are those that decrypt.
    """

    hosts: dict[str, list[str]]
    trusted: set[str]
    ports: set[int]


#: The port of a Host header without a port.
_HTTP: Final = 80


def gateway_configuration(objects: Objects, local: LocalAddresses, proxy: Proxy) -> Configuration:
    """Return the resources of a gateway, with a listener for each port that has an address."""
    objects = with_gateway_api(objects)
    scope = Scope(objects, proxy)
    merged = merge_servers(gateways_of(proxy, objects.gateways))
    chains = _chains_by_port(merged, scope)
    return _configuration(
        scope,
        local,
        [
            gateway_listener(port, address, [_local_chain(each, local) for each in chains[port]])
            for port, address in local.listeners.items()
            if port in chains
        ],
        [
            gateway_routes(name, servers, scope)
            for name, servers in merged.by_routes.items()
            if name and servers[0].port in local.listeners
        ],
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
    merged = merge_servers(gateways_of(proxy, with_gateway_api(objects).gateways))
    return tuple(sorted({servers[0].port for name, servers in merged.by_routes.items() if name}))


def gateway_secrets(objects: Objects, proxy: Proxy) -> GatewaySecrets:
    """Return the secrets that a gateway's listeners need; a sidecar has no such listeners."""
    gateways = with_gateway_api(objects).gateways if proxy.is_gateway else ()
    merged = merge_servers(gateways_of(proxy, gateways))
    found = GatewaySecrets({}, set(), set())
    for listener in merged.listeners:
        for server in listener.servers:
            if server.terminates and server.server.tls:
                socket = server_transport_socket(server.server.tls, http=True)
                hosts = [each.rpartition("/")[2] for each in server.hosts]
                for name in certificate_names(socket):
                    found.hosts.setdefault(name, []).extend(hosts)
                found.ports.add(listener.port)
                if trusted := trust_name(socket):
                    found.trusted.add(trusted)
    return found


def _chains_by_port(merged: MergedServers, scope: Scope) -> dict[int, list[Resource]]:
    """Return the filter chains of each port; servers of several addresses share a listener."""
    found: dict[int, list[Resource]] = {}
    for listener in merged.listeners:
        chains = found.setdefault(listener.port, [])
        matches = [each.get("filter_chain_match") for each in chains]
        chains += (
            each
            for each in filter_chains(listener, scope)
            if each.get("filter_chain_match") not in matches
        )
    return {port: chains for port, chains in found.items() if chains}


def _local_chain(chain: Resource, local: LocalAddresses) -> Resource:
    if "transport_socket" not in chain:
        return chain
    return {**chain, "transport_socket": with_files(chain["transport_socket"], local.certificates)}


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
    sidecars = inbound(scope.objects, local)
    return Configuration(
        listeners=(*listeners, *sidecars.listeners),
        route_configurations=tuple(routes),
        clusters=(*(_local_cluster(each, local) for each in known), *sidecars.clusters),
        load_assignments={
            **{
                each.name: load_assignment(each.name, _endpoints(each, scope, local), local)
                for each in known
            },
            **sidecars.load_assignments,
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


def _local_cluster(cluster: Cluster, local: LocalAddresses) -> Resource:
    mutual = mutual_socket(cluster.resource) if local.sidecars else None
    fields = {name: each for name, each in cluster.resource.items() if name not in _NOT_LOCAL}
    if fields["lb_policy"] == "CLUSTER_PROVIDED":
        fields |= lb_policy(None)
    # All pods are in one place.
    shared = dict(fields.pop("common_lb_config", {}))
    shared.pop("locality_weighted_lb_config", None)
    return {
        **fields,
        **({"common_lb_config": shared} if shared else {}),
        **(with_mutual_tls(with_files(mutual, local.certificates)) if mutual else {}),
        "type": "EDS",
        "eds_cluster_config": {"service_name": cluster.name},
        "alt_stat_name": stat_name(cluster.name),
    }
