"""The destinations and mirrors that VirtualServices send requests to. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..manifests.destinations import Destination
from ..manifests.hosts import expand_host, service_of
from ..manifests.kubernetes import Service
from ..manifests.virtual_service import VirtualService
from .context import LintContext
from .resource import Resource


@dataclass(frozen=True, slots=True)
class RoutedDestination:
    """A destination of a route; it is ``active`` if its weight or percentage is above 0."""

    resource: Resource
    virtual_service: VirtualService
    destination: Destination
    active: bool

    @property
    def host(self) -> str:
        """Return the full host of the destination."""
        return expand_host(self.destination.host, self.virtual_service.namespace)

    def service(self, context: LintContext) -> Service | None:
        """Return the Service of the host, None if it is unknown."""
        name = service_of(self.host)
        return None if name is None else context.service(name)


def routed_destinations(context: LintContext) -> Iterator[RoutedDestination]:
    """Yield every destination and mirror of the checked VirtualServices."""
    for resource, service in context.virtual_services():
        yield from destinations_of(resource, service)


def destinations_of(resource: Resource, service: VirtualService) -> Iterator[RoutedDestination]:
    """Yield every destination and mirror of one VirtualService."""
    for route in service.spec.http:
        active = route.active_destinations
        for weighted in route.route:
            yield RoutedDestination(resource, service, weighted.destination, weighted in active)
        for destination, percent in route.mirror_destinations:
            yield RoutedDestination(resource, service, destination, percent > 0)
