"""What one proxy sees: services, VirtualServices, DestinationRules; a Sidecar narrows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from ..manifests.hosts import covers_host, expand_host, overlap
from ..manifests.l4_routes import TcpRoute, TlsRoute
from ..manifests.semantics import has_gateway_semantics
from ..manifests.sidecar import EgressListener, Sidecar, SidecarPort
from ..manifests.virtual_service import MESH, VirtualService
from .age import oldest_first
from .configuration import Objects, Resource
from .destination_rules import DestinationRules, MergedRule
from .proxy import ROOT_NAMESPACE, Proxy
from .request_policies import request_filters
from .services import MeshService, mesh_services
from .virtual_services import VirtualServices, hosts_of

_EVERYTHING: Final = (EgressListener(hosts=("*/*",)),)


@dataclass(frozen=True, slots=True)
class Egress:
    """What a sidecar's callers reach: at one port, or without ``port`` at all other ports."""

    port: SidecarPort | None
    services: tuple[MeshService, ...]
    virtual_services: tuple[VirtualService, ...]


class Scope:
    """The objects that apply to a proxy."""

    def __init__(self, objects: Objects, proxy: Proxy) -> None:
        self.objects = objects
        self.proxy = proxy
        self.virtual_services = VirtualServices(objects.virtual_services)
        self._rules = DestinationRules(objects.destination_rules)
        self._visible = [
            each for each in mesh_services(objects) if each.visible_in(proxy.namespace)
        ]
        self._by_host: dict[str, list[MeshService]] = {}
        for each in self._visible:
            self._by_host.setdefault(each.host, []).append(each)
        self._found: dict[str, MergedRule | None] = {}

    @cached_property
    def services(self) -> dict[str, MeshService]:
        """The services by host. Of one host, the oldest counts, and Kubernetes' before others."""
        found: dict[str, MeshService] = {}
        for each in self._all_services():
            known = found.get(each.host)
            if known is None or (each.in_kubernetes and not known.in_kubernetes):
                found[each.host] = each
            elif known.namespace == each.namespace and known.in_kubernetes == each.in_kubernetes:
                numbers = {port.number for port in known.ports}
                more = tuple(port for port in each.ports if port.number not in numbers)
                found[each.host] = replace(known, ports=(*known.ports, *more))
        return found

    def rule(self, host: str) -> MergedRule | None:
        """Return the DestinationRule of a service that the proxy sees."""
        if host not in self._found:
            service = self.services.get(host)
            rule = self._rules.find(service, self.proxy) if service else None
            self._found[host] = rule
        return self._found[host]

    @cached_property
    def request_filters(self) -> list[Resource]:
        """The filters of policies; a sidecar has them only for requests to its own pod."""
        if not self.proxy.is_gateway:
            return []
        return request_filters(self.objects, self.proxy.namespace, self.proxy.labels, gateway=True)

    @property
    def registry_only(self) -> bool:
        """True if callers reach no other hosts than those that the proxy knows."""
        policy = self._sidecar.spec.outbound_traffic_policy if self._sidecar else None
        return policy is not None and policy.mode == "REGISTRY_ONLY"

    @cached_property
    def _sidecar(self) -> Sidecar | None:
        return _sidecar_of(self.objects.sidecars, self.proxy)

    @cached_property
    def egress(self) -> tuple[Egress, ...]:
        """What a sidecar's callers reach, the listener for all other ports last."""
        sidecar = self._sidecar
        bound = self.virtual_services.bound_to(MESH, self.proxy.namespace)
        return tuple(
            self._egress(each, bound)
            for each in (sidecar.spec.egress if sidecar else ()) or _EVERYTHING
        )

    def _all_services(self) -> Iterator[MeshService]:
        if self.proxy.is_gateway:
            yield from self._visible
            return
        for listener in self.egress:
            yield from listener.services
            # The destinations of visible routes are reached too.
            for virtual in listener.virtual_services:
                for host, ports in _destinations(virtual, self.proxy.namespace):
                    if service := self._nearest(host):
                        number = listener.port.number if listener.port else 0
                        found = _with_ports(service, {number} if number else ports)
                        yield from (found,) if found else ()

    def _nearest(self, host: str) -> MeshService | None:
        """Return the service of the proxy's namespace, else of the first namespace by name."""
        return min(
            self._by_host.get(host, ()),
            key=lambda each: (each.namespace != self.proxy.namespace, each.namespace),
            default=None,
        )

    def _egress(self, listener: EgressListener, bound: Sequence[VirtualService]) -> Egress:
        imports = [_import(each, self.proxy.namespace) for each in listener.hosts]
        services = []
        for each in self._visible:
            if _imported(each.namespace, each.host, imports):
                number = listener.port.number if listener.port else 0
                found = _with_ports(each, {number} if number and not _is_proxy(listener) else set())
                if found:
                    hosts = [
                        host for host in each.aliases if _imported(each.namespace, host, imports)
                    ]
                    services.append(replace(found, aliases=tuple(hosts)))
        return Egress(
            listener.port,
            tuple(_one_per_host(services, self.proxy.namespace)),
            tuple(
                each
                for each in bound
                if any(_routes_imported(each, host, imports) for host in hosts_of(each))
            ),
        )


def _sidecar_of(sidecars: Iterable[Sidecar], proxy: Proxy) -> Sidecar | None:
    """Return the Sidecar that selects the proxy, else the namespace's, else the root's."""
    ordered = oldest_first(sidecars)
    own = [each for each in ordered if each.namespace == proxy.namespace]
    root = [each for each in ordered if each.namespace == ROOT_NAMESPACE]
    for each in own:
        if each.spec.workload_selector and proxy.has_labels(each.spec.workload_selector.labels):
            return each
    return next((each for each in (*own, *root) if not each.spec.workload_selector), None)


def _import(host: str, namespace: str) -> tuple[str, str]:
    owner, _, name = host.partition("/")
    return (namespace if owner == "." else owner), name


def _imported(namespace: str, host: str, imports: Iterable[tuple[str, str]]) -> bool:
    return any(owner in {"*", namespace} and covers_host(name, host) for owner, name in imports)


def _routes_imported(
    service: VirtualService, host: str, imports: Iterable[tuple[str, str]]
) -> bool:
    """Return True if a VirtualService's host is imported.

    A wildcard need only overlap, but for routes of the Gateway API.
    """
    if has_gateway_semantics(service):
        return _imported(service.namespace, host, imports)
    return any(
        owner in {"*", service.namespace} and (overlap(name, host))
        for owner, name in imports
        if host.startswith("*") or name.startswith("*") or host == name
    )


def _is_proxy(listener: EgressListener) -> bool:
    return listener.port is not None and (listener.port.protocol or "").upper() == "HTTP_PROXY"


def _with_ports(service: MeshService, numbers: set[int]) -> MeshService | None:
    """Return the service with these ports only, None if it has none of them; 0 means all."""
    if not numbers or 0 in numbers:
        return service
    ports = tuple(each for each in service.ports if each.number in numbers)
    return replace(service, ports=ports) if ports else None


def _one_per_host(services: Iterable[MeshService], namespace: str) -> list[MeshService]:
    """Keep those of one namespace per host: the caller's, else Kubernetes', else the first."""
    chosen: dict[str, MeshService] = {}
    for each in services:
        known = chosen.setdefault(each.host, each)
        nearer = each.namespace == namespace and known.namespace != namespace
        firmer = each.in_kubernetes and not known.in_kubernetes and known.namespace != namespace
        if nearer or firmer:
            chosen[each.host] = each
    return [each for each in services if chosen[each.host].namespace == each.namespace]


def _destinations(service: VirtualService, namespace: str) -> Iterator[tuple[str, set[int]]]:
    """Yield the host of each destination, for callers of a namespace, with its ports."""
    found: dict[str, set[int]] = {}
    for route in service.spec.http:
        sources = {each.source_namespace for each in route.match}
        if sources and not sources & {None, namespace}:
            continue
        for destination in (
            *(each.destination for each in route.route),
            *(each for each, _ in route.mirror_destinations),
        ):
            host = expand_host(destination.host, service.namespace)
            found.setdefault(host, set()).add(destination.port.number if destination.port else 0)
    spec = service.spec
    l4: tuple[TcpRoute | TlsRoute, ...] = (*spec.tcp, *spec.tls)
    for one in (each for other in l4 for each in other.route):
        port = one.destination.port
        host = expand_host(one.destination.host, service.namespace)
        found.setdefault(host, set()).add(port.number if port else 0)
    yield from found.items()
