"""Where a VirtualService's requests go, copies included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...manifests.hosts import expand_host, service_of
from ...manifests.http_route import Destination, HttpRoute
from ...manifests.kubernetes import Service
from ...manifests.virtual_service import VirtualService
from ..inventory import Inventory
from ..subjects import Subject


@dataclass(frozen=True, slots=True)
class Target:
    """A destination and the rule it belongs to; ``live`` if requests really go there."""

    subject: Subject
    owner: VirtualService
    route: HttpRoute
    destination: Destination
    live: bool

    @property
    def host(self) -> str:
        """Return the destination's full host."""
        return expand_host(self.destination.host, self.owner.namespace)

    def service(self, inventory: Inventory) -> Service | None:
        """Return the Service, if it is known."""
        name = service_of(self.host)
        return None if name is None else inventory.service(name)


def targets(inventory: Inventory) -> Iterator[Target]:
    """Yield every destination and mirror of the judged VirtualServices."""
    for subject, owner in inventory.virtual_services():
        yield from targets_of(subject, owner)


def targets_of(subject: Subject, owner: VirtualService) -> Iterator[Target]:
    """Yield every destination and mirror of one VirtualService."""
    for route in owner.spec.http:
        for weighted in route.route:
            yield Target(subject, owner, route, weighted.destination, weighted in route.live)
        for destination, share in route.mirroring:
            yield Target(subject, owner, route, destination, share > 0)
