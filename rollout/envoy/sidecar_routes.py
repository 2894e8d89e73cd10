"""The route table of each port for callers with a sidecar, by the Host header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.hosts import CLUSTER_SUFFIX, overlap, service_of
from ..manifests.semantics import has_gateway_semantics
from ..manifests.virtual_service import MESH, VirtualService
from .configuration import Resource
from .host_matching import best
from .resource_names import cluster_name
from .route_action import RouteActions, default_route, timeouts
from .routes import GatewayPort, routes, virtual_host
from .scope import Egress, Scope
from .services import MeshService, Resolution
from .traffic_policies import service_hash
from .virtual_services import hosts_of

#: At this port istiod serves hosts without a service, too.
_HTTP: Final = 80


@dataclass(frozen=True, slots=True)
class _Hosts:
    """Routes, the services and the other hosts that they are for."""

    services: Sequence[MeshService]
    others: Sequence[str]
    routes: Sequence[Resource]


class SidecarRoutes:
    """The virtual hosts of one egress listener's ports."""

    def __init__(self, egress: Egress, scope: Scope) -> None:
        self._egress = egress
        self._scope = scope
        self._bound = [(each, hosts_of(each)) for each in egress.virtual_services]
        self._owners = _owners(self._bound, egress.services)

    def virtual_hosts(self, port: int) -> list[Resource]:
        """Return the virtual hosts of a port; domains have no port.

        Of several VirtualServices for a host, the first counts: istiod merges them only at
        gateways.
        """
        registry = {
            each.host: each for each in self._egress.services if each.port(port) is not None
        }
        taken: set[str] = set()
        found = []
        hosts = [*self._of_virtual_services(port, registry)]
        hosts += self._of_services(port, registry, hosts)
        known = {each.host for one in hosts for each in one.services}
        for each in hosts:
            found += [_host(other, [other], each.routes, port, taken) for other in each.others]
            for service in each.services:
                domains = _domains(service, self._scope.proxy.namespace, known)
                found.append(_host(service.host, domains, each.routes, port, taken))
        return [each for each in found if each]

    def _of_virtual_services(self, port: int, registry: dict[str, MeshService]) -> Iterator[_Hosts]:
        for virtual, hosts in self._bound:
            if port != _HTTP and not any(_names_one_of(host, registry) for host in hosts):
                continue
            actions = RouteActions(self._scope, virtual, port, only_port=True)
            found = routes(virtual, GatewayPort(MESH, port), actions, self._scope.proxy)
            services, others = self._split(virtual, hosts, registry)
            if has_gateway_semantics(virtual):
                services = [each for each in services if self._may_route(virtual, each)]
                if not services:
                    continue
            with_routes = [each for each in services if _has_routes(each, port)]
            if found and (with_routes or (port == _HTTP)):
                yield _Hosts(with_routes, others, found)

    def _may_route(self, virtual: VirtualService, service: MeshService) -> bool:
        """Return True for the owner of a Service, and for others about their own callers."""
        return virtual.namespace in {service.namespace, self._scope.proxy.namespace}

    def _split(
        self, virtual: VirtualService, hosts: Iterable[str], registry: dict[str, MeshService]
    ) -> tuple[list[MeshService], list[str]]:
        """Return the services that the hosts name, and the hosts that name none."""
        services, others = [], []
        for host in sorted(hosts, key=lambda each: each.startswith("*")):
            if not host.startswith("*"):
                if host in registry:
                    services.append(registry[host])
                else:
                    others.append(host)
                continue
            matching = [each for each in registry.values() if overlap(host, each.host)]
            services += [each for each in matching if self._owners.get(each.host) is virtual]
            if not matching:
                others.append(host)
        return services, others

    def _of_services(
        self, port: int, registry: dict[str, MeshService], routed: Iterable[_Hosts]
    ) -> Iterator[_Hosts]:
        """Yield the default routes of the services without a VirtualService."""
        done = {each.host for one in routed for each in one.services}
        for service in registry.values():
            if service.resolution is Resolution.ALIAS or service.host in done:
                continue
            if _has_routes(service, port):
                consistent_hash = service_hash(self._scope.rule(service.host), port)
                route = default_route(cluster_name(service.host, port), consistent_hash)
                yield _Hosts([service], [], [route])


def passthrough_host(*, registry_only: bool) -> dict[str, Any]:
    """Return the virtual host for all other hosts: on to their own address, or 502."""
    match = {"prefix": "/"}
    if registry_only:
        route = {"name": "block_all", "match": match, "direct_response": {"status": 502}}
        return virtual_host("block_all", ["*"], [route])
    action = {"cluster": "PassthroughCluster", **timeouts(None)}
    return virtual_host(
        "allow_any", ["*"], [{"name": "allow_any", "match": match, "route": action}]
    )


def _has_routes(service: MeshService, port: int) -> bool:
    found = service.port(port)
    return found is not None and found.protocol.has_routes


def _names_one_of(host: str, registry: dict[str, MeshService]) -> bool:
    if host in registry:
        return True
    wildcards = registry if host.startswith("*") else [each for each in registry if each[0] == "*"]
    return any(overlap(host, each) for each in wildcards)


def _owners(
    bound: Iterable[tuple[VirtualService, Sequence[str]]], services: Iterable[MeshService]
) -> dict[str, VirtualService]:
    """Return, for each service, the VirtualService with the most specific host."""
    by_host: dict[str, VirtualService] = {}
    for virtual, hosts in bound:
        for host in hosts:
            by_host.setdefault(host, virtual)
    wildcards = [each for each in by_host if each.startswith("*")]
    found = {}
    for service in services:
        nearest = service.host if service.host in by_host else best(service.host, wildcards)
        if nearest is not None:
            found[service.host] = by_host[nearest]
    return found


def _host(
    name: str, domains: Iterable[str], found: Sequence[Resource], port: int, taken: set[str]
) -> dict[str, Any] | None:
    new = [each for each in domains if each.lower() not in taken]
    taken.update(each.lower() for each in new)
    return virtual_host(f"{name}:{port}", new, found) if new else None


def _domains(service: MeshService, namespace: str, known: set[str]) -> list[str]:
    """Return the names by which callers of a namespace know a service.

    A short form that is another service's full name is left out.
    """
    found = []
    for host in (service.host, *service.aliases):
        short = [each for each in _short_names(host, namespace) if each not in known]
        found += [host, f"{host}.", *short]
    return [*found, *(f"*.{each}" for each in (found if service.is_headless else ()))]


def _short_names(host: str, namespace: str) -> list[str]:
    service = service_of(host)
    if service is None or not host.endswith(CLUSTER_SUFFIX):
        return []
    names = [f"{service.name}.{service.namespace}.svc", f"{service.name}.{service.namespace}"]
    return [service.name, *names] if service.namespace == namespace else names
