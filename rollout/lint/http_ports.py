"""The ports at which HTTP requests meet the routes of a VirtualService. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from ..manifests.hosts import expand_host, service_of
from ..manifests.port_protocol import ROUTED_AS_HTTP, declared_protocol
from ..manifests.service_entry import ServiceEntry
from ..manifests.virtual_service import MESH, VirtualService
from .context import LintContext, istio_objects
from .gateway_servers import gateway_servers, is_istio_gateway

_NONE: Final[frozenset[int]] = frozenset()


class HttpPorts:
    """Knows the ports of Gateways, Services and ServiceEntries."""

    def __init__(self, context: LintContext) -> None:
        self._context = context
        self._gateways: defaultdict[str, set[int]] = defaultdict(set)
        self._entries: defaultdict[str, set[int]] = defaultdict(set)
        for resource in filter(is_istio_gateway, context.everything):
            for server in gateway_servers(resource):
                if server.routes_http and not server.only_redirects:
                    self._gateways[f"{resource.namespace}/{resource.name}"].add(server.number)
        for _, entry in istio_objects(context.everything, ServiceEntry):
            for port in entry.spec.ports:
                if (port.protocol or "").lower() in ROUTED_AS_HTTP:
                    for host in entry.spec.hosts:
                        self._entries[host].add(port.number)

    def at(self, gateway: str, service: VirtualService) -> frozenset[int]:
        """Return the ports at a gateway or in the mesh, none if they are not all known."""
        if gateway != MESH:
            return frozenset(self._gateways.get(gateway, _NONE))
        found = [self._of_host(expand_host(it, service.namespace)) for it in service.spec.hosts]
        return frozenset().union(*found) if all(found) else _NONE

    def _of_host(self, host: str) -> frozenset[int]:
        name = service_of(host)
        if known := name and self._context.service(name):
            return frozenset(
                port.number for port in known.ports if declared_protocol(port) in ROUTED_AS_HTTP
            )
        return frozenset(self._entries.get(host, _NONE))
