"""The VirtualServices that apply at a gateway, or in the mesh, for callers of one namespace."""

from __future__ import annotations

from collections.abc import Iterable

from ..manifests.hosts import expand_host
from ..manifests.semantics import has_gateway_semantics
from ..manifests.virtual_service import VirtualService
from .age import oldest_first
from .delegation import without_delegates
from .proxy import exported


class VirtualServices:
    """All VirtualServices, oldest first, without delegates, with full hosts."""

    def __init__(self, services: Iterable[VirtualService]) -> None:
        self._by_gateway: dict[str, list[VirtualService]] = {}
        for each in without_delegates(oldest_first(services)):
            for gateway in dict.fromkeys(each.gateways):
                self._by_gateway.setdefault(gateway, []).append(each)

    def bound_to(self, gateway: str, namespace: str) -> list[VirtualService]:
        """Return those of a gateway (``namespace/name``, or ``mesh``) that a namespace sees.

        As in istiod, first those for their own namespace only, then those for some, then for all;
        of these, first the Gateway API's of the namespace, which override those of the Service's.
        """
        visible = [
            each
            for each in self._by_gateway.get(gateway, ())
            if exported(each.spec.export_to, each.namespace, namespace)
        ]
        return sorted(visible, key=lambda each: _breadth(each, namespace))


def hosts_of(service: VirtualService) -> tuple[str, ...]:
    """Return the hosts with short names completed, but for the Gateway API's."""
    if has_gateway_semantics(service):
        return service.spec.hosts
    return tuple(expand_host(each, service.namespace) for each in service.spec.hosts)


def _breadth(service: VirtualService, namespace: str) -> int:
    names = service.spec.export_to
    if not names or "*" in names:
        return 2 if has_gateway_semantics(service) and service.namespace == namespace else 3
    return 0 if service.namespace == namespace else 1
