"""All of the Gateway API's objects as Gateways and VirtualServices of Istio's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..manifests.gateway import Gateway
from ..manifests.gateway_api.routes import ApiRoute
from ..manifests.hosts import ServiceName
from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.kubernetes import Service
from ..manifests.service_entry import ServiceEntry
from ..manifests.virtual_service import MESH, VirtualService
from .attachment import Attachment, Attachments
from .backends import Backends, RouteRefused
from .grants import Grants
from .internal_objects import internal_virtual_service, title_of
from .listeners import listener_parents
from .objects import GatewayApiObjects
from .rules import by_precedence, istio_routes


class Converted(NamedTuple):
    gateways: tuple[Gateway, ...]
    virtual_services: tuple[VirtualService, ...]


@dataclass(slots=True)
class _Host:
    """The routes of one host at one place, the oldest owner first."""

    place: Attachment
    owners: list[ApiRoute]
    routes: list[HttpRoute]


def convert(
    api: GatewayApiObjects, services: Iterable[Service], entries: Iterable[ServiceEntry]
) -> Converted:
    """Return what istiod makes of the objects; the order in which they are given does not matter.

    Each listener becomes a Gateway, each host at a listener a VirtualService. Routes with a filter
    that Istio does not know, or with a backend without a port, become nothing.
    """
    services, entries = tuple(services), tuple(entries)
    listeners = sorted(
        listener_parents(_with_namespaces(api), services), key=lambda each: each.name
    )
    attachments = Attachments(listeners, services, entries)
    grants = Grants(api.grants)
    known = frozenset(ServiceName(each.namespace, each.name).host for each in services)
    known |= {host for each in entries for host in each.spec.hosts}
    hosts: dict[str, _Host] = {}
    for route in sorted(api.routes, key=_age):
        for place in attachments.of(route):
            checked = None if place.gateway == MESH else grants
            try:
                routes = istio_routes(route, Backends(route, checked, known))
            except RouteRefused:
                continue
            if place.port is not None:
                routes = [_at_port(each, place.port) for each in routes]
            host = hosts.setdefault(place.key, _Host(place, [], []))
            host.owners.append(route)
            host.routes += routes
    return Converted(
        tuple(each.gateway for each in listeners),
        tuple(_virtual_service(key, each) for key, each in hosts.items() if each.routes),
    )


def _with_namespaces(api: GatewayApiObjects) -> GatewayApiObjects:
    """Return the objects with all namespaces: one whose object is not there has only its name."""
    found: dict[str, Mapping[str, str]] = {
        each.namespace: {} for each in (*api.routes, *api.gateways)
    }
    return replace(api, namespaces={**found, **api.namespaces})


def _age(route: ApiRoute) -> tuple[str, str, str, str]:
    created = str(route.metadata.creation_timestamp or "")
    return created, route.namespace, route.name, route.kind


def _virtual_service(key: str, host: _Host) -> VirtualService:
    return internal_virtual_service(
        host.owners[0],
        key.replace("/", "~"),
        ",".join(map(title_of, host.owners)),
        host=host.place.host,
        gateway=host.place.gateway,
        http=by_precedence(host.routes),
    )


def _at_port(route: HttpRoute, port: int) -> HttpRoute:
    """Return a route for one port of a Service."""
    matches = route.match or (HttpMatch.model_construct(),)
    narrowed = tuple(each.model_copy(update={"port": port}) for each in matches)
    return route.model_copy(update={"match": narrowed})
