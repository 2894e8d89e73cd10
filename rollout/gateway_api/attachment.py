"""Which listeners, and which hosts inside the mesh, a route attaches to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..manifests.gateway_api.references import GATEWAY_API_GROUP, ParentReference
from ..manifests.gateway_api.routes import ApiRoute
from ..manifests.hosts import ServiceName, covers_host, overlap
from ..manifests.kubernetes import Service
from ..manifests.service_entry import ServiceEntry
from ..manifests.virtual_service import MESH
from .listeners import ListenerParent


class Attachment(NamedTuple):
    """A host of a route at a Gateway of Istio's, or at ``mesh`` for callers of a Service.

    ``port`` is that of the Service, None for all. Routes with the same ``key`` are merged.
    """

    gateway: str
    host: str
    port: int | None
    key: str


class Attachments:
    """What routes can attach to."""

    def __init__(
        self,
        listeners: Iterable[ListenerParent],
        services: Iterable[Service],
        entries: Iterable[ServiceEntry],
    ) -> None:
        self._listeners: dict[tuple[str, str], list[ListenerParent]] = {}
        for each in listeners:
            owner = (each.owner.namespace, each.owner.name)
            self._listeners.setdefault(owner, []).append(each)
        self._services = {(each.namespace, each.name) for each in services}
        self._entries: Mapping[tuple[str, str], tuple[str, ...]] = {
            (each.namespace, each.name): each.spec.hosts for each in entries
        }

    def of(self, route: ApiRoute) -> list[Attachment]:
        """Return all of a route's, without duplicates."""
        found = (each for parent in route.spec.parent_refs for each in self._of(route, parent))
        return list(dict.fromkeys(found))

    def _of(self, route: ApiRoute, parent: ParentReference) -> Iterator[Attachment]:
        name = (parent.namespace or route.namespace, parent.name)
        if (parent.group, parent.kind) == (GATEWAY_API_GROUP, "Gateway"):
            listeners = self._listeners.get(name, [])
            for each in listeners:
                if _allowed(route, parent, each):
                    for host in route.spec.hostnames or ("*",):
                        if _is_nearest(host, each, listeners):
                            yield Attachment(each.name, host, None, f"{each.name}/{host}")
            return
        hosts: tuple[str, ...] = ()
        if (parent.group, parent.kind) == ("", "Service") and name in self._services:
            hosts = (ServiceName(*name).host,)
        elif (parent.group, parent.kind) == ("networking.istio.io", "ServiceEntry"):
            hosts = self._entries.get(name, ())
        for host in hosts:
            place = route.namespace if parent.port is None else f"{route.namespace}/{parent.port}"
            yield Attachment(MESH, host, parent.port, f"{place}/{host}")


def _allowed(route: ApiRoute, parent: ParentReference, listener: ListenerParent) -> bool:
    if parent.port not in {None, listener.listener.port}:
        return False
    if parent.section_name not in {None, listener.listener.name}:
        return False
    return listener.allows_kind(route.kind) and any(
        namespace in {"*", route.namespace} and overlap(host, wanted)
        for namespace, _, host in (each.partition("/") for each in listener.hosts)
        for wanted in route.spec.hostnames or ("*",)
    )


def _is_nearest(host: str, own: ListenerParent, listeners: Iterable[ListenerParent]) -> bool:
    """Return True unless another listener of the port is nearer to a route's host."""
    if own.hostname and not own.hostname.startswith("*"):
        return True
    if own.hostname and not overlap(host, own.hostname):
        return False
    others = {
        each.hostname
        for each in listeners
        if each is not own
        and each.listener.port == own.listener.port
        and each.listener.protocol == own.listener.protocol
    } - {own.hostname}
    return not any(len(own.hostname) <= len(other) and covers_host(other, host) for other in others)
