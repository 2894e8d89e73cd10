"""Where requests enter: at which gateways, or in the mesh, a host gets requests and is split. Pure.

Gateways know nothing of the routes for the mesh: a destination at a gateway is a Service's pods,
even if a VirtualService of the mesh splits the requests for that Service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..manifests.hosts import expand_host
from ..manifests.http_route import HttpRoute
from ..manifests.untyped import list_or_empty, mapping_or_empty
from ..manifests.virtual_service import MESH, VirtualService
from .context import LintContext, istio_objects
from .gateway_api import ApiRoute, api_routes
from .reachability import gateways_of
from .resource import Resource

#: Stands for an Ingress in place of a gateway's name.
INGRESS: Final = "an Ingress"


@dataclass(frozen=True, slots=True)
class Destination:
    """A host that one place, a gateway or ``mesh``, sends requests to."""

    resource: Resource
    path: str
    place: str
    host: str
    #: True if the destination says which pods: a subset.
    chosen: bool


@dataclass(frozen=True, slots=True)
class Split:
    """Weights that split the requests for a host at one place."""

    resource: Resource
    path: str
    place: str
    host: str


def destinations(context: LintContext) -> Iterator[Destination]:
    """Yield the destinations of checked objects that get requests, once for each place."""
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            for place in sorted(places_of(route, service)):
                for weighted in route.active_destinations:
                    target = weighted.destination
                    host = expand_host(target.host, service.namespace)
                    path = target.json_path()
                    yield Destination(resource, path, place, host, target.subset is not None)
    for api in api_routes(context.checked):
        for place in api.places:
            for backend in api.backends:
                if backend.weight:
                    yield Destination(api.resource, backend.path, place, backend.host, False)
    for resource in context.checked:
        if resource.id.group == "networking.k8s.io" and resource.kind == "Ingress":
            yield from _ingress_destinations(resource)


def _ingress_destinations(resource: Resource) -> Iterator[Destination]:
    backends = [("spec.defaultBackend", resource.spec.get("defaultBackend"))]
    for at, rule in enumerate(list_or_empty(resource.spec.get("rules"))):
        http = mapping_or_empty(mapping_or_empty(rule).get("http"))
        for index, path in enumerate(list_or_empty(http.get("paths"))):
            backend = mapping_or_empty(path).get("backend")
            backends.append((f"spec.rules[{at}].http.paths[{index}].backend", backend))
    for path, backend in backends:
        name = mapping_or_empty(mapping_or_empty(backend).get("service")).get("name")
        if isinstance(name, str):
            host = expand_host(name, resource.namespace)
            yield Destination(resource, f"{path}.service", INGRESS, host, False)


def splits(context: LintContext) -> Iterator[Split]:
    """Yield what splits a host, of all objects in the cluster.

    In the mesh that is a route for the host itself, to whatever; at a gateway, one to several of
    the host's subsets.
    """
    for resource, service in istio_objects(context.in_cluster, VirtualService):
        own = [expand_host(host, service.namespace) for host in service.spec.hosts]
        for route in service.spec.http:
            targets = {
                (expand_host(it.destination.host, service.namespace), it.destination.subset)
                for it in route.route
            }
            if len(targets) < 2:
                continue
            subsets = [host for host, _ in targets]
            repeated = {host for host in subsets if subsets.count(host) > 1}
            for place in places_of(route, service):
                for host in own if place == MESH else repeated:
                    yield Split(resource, route.json_path("route"), place, host)
    for api in api_routes(context.in_cluster):
        for host, path in _split_by(api):
            yield Split(api.resource, path, MESH, host)


def _split_by(api: ApiRoute) -> Iterator[tuple[str, str]]:
    """Yield the Services whose callers in the mesh a route of the Gateway API splits."""
    rules: dict[str, set[str]] = {}
    for backend in api.backends:
        rules.setdefault(backend.rule_path, set()).add(backend.host)
    for path, hosts in rules.items():
        if len(hosts) > 1:
            yield from ((host, path) for host in api.service_parents)


def places_of(route: HttpRoute, service: VirtualService) -> frozenset[str]:
    """Return the gateways at which a route applies; ``mesh`` may be one of them."""
    if not route.match:
        return frozenset(service.gateways)
    return frozenset().union(*(gateways_of(match, service) for match in route.match))
