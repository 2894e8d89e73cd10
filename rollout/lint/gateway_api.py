"""Objects of the Gateway API: routes, their parents and backends, listeners, ReferenceGrants. Pure.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.hosts import ServiceName, overlap
from ..manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from ..manifests.virtual_service import MESH
from .resource import Resource

GATEWAY_API_GROUP: Final = "gateway.networking.k8s.io"
ROUTE_KINDS: Final = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"})


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that another one refers to, and the JSON path of the reference."""

    path: str
    group: str
    kind: str
    namespace: str
    name: str
    port: int | None = None
    section: str | None = None

    @property
    def is_service(self) -> bool:
        return self.group == "" and self.kind == "Service"

    @property
    def is_gateway(self) -> bool:
        return self.group == GATEWAY_API_GROUP and self.kind == "Gateway"


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service that a rule sends requests to."""

    path: str
    rule_path: str
    reference: Reference
    weight: int

    @property
    def host(self) -> str:
        return ServiceName(self.reference.namespace, self.reference.name).host


@dataclass(frozen=True, slots=True)
class ApiRoute:
    resource: Resource
    parents: tuple[Reference, ...]
    backends: tuple[Backend, ...]
    hostnames: tuple[str, ...]

    @property
    def service_parents(self) -> tuple[str, ...]:
        """Return the hosts of the Services whose callers in the mesh the route is for."""
        services = (each for each in self.parents if each.is_service)
        return tuple(ServiceName(each.namespace, each.name).host for each in services)

    @property
    def places(self) -> tuple[str, ...]:
        """Return the Gateways as ``namespace/name``, and ``mesh`` if a parent is a Service."""
        gateways = [f"{it.namespace}/{it.name}" for it in self.parents if it.is_gateway]
        return (*dict.fromkeys(gateways), *((MESH,) if self.service_parents else ()))


@dataclass(frozen=True, slots=True)
class Listener:
    path: str
    name: str
    port: int
    protocol: str
    hostname: str | None
    #: ``Same``, ``All`` or ``Selector``.
    routes_from: str
    certificates: tuple[Reference, ...]

    def accepts_host(self, hostnames: tuple[str, ...]) -> bool:
        """Return True if the listener and the route have a host in common."""
        return (
            self.hostname is None
            or not hostnames
            or any(overlap(self.hostname, each) for each in hostnames)
        )


def is_api_gateway(resource: Resource) -> bool:
    return resource.id.group == GATEWAY_API_GROUP and resource.kind == "Gateway"


def api_routes(resources: Iterable[Resource]) -> Iterator[ApiRoute]:
    """Yield the routes of every kind."""
    for resource in resources:
        if resource.id.group == GATEWAY_API_GROUP and resource.kind in ROUTE_KINDS:
            spec = resource.spec
            yield ApiRoute(
                resource=resource,
                parents=tuple(
                    _reference(f"spec.parentRefs[{index}]", each, resource, "Gateway")
                    for index, each in _mappings(spec.get("parentRefs"))
                ),
                backends=tuple(_backends(resource)),
                hostnames=tuple(map(str, list_or_empty(spec.get("hostnames")))),
            )


def _backends(resource: Resource) -> Iterator[Backend]:
    for at, rule in _mappings(resource.spec.get("rules")):
        rule_path = f"spec.rules[{at}].backendRefs"
        for index, each in _mappings(rule.get("backendRefs")):
            path = f"{rule_path}[{index}]"
            weight = each.get("weight", 1)
            reference = _reference(path, each, resource, "Service")
            yield Backend(path, rule_path, reference, weight if isinstance(weight, int) else 1)


def _reference(
    path: str, written: Mapping[str, Any], owner: Resource, default_kind: str
) -> Reference:
    default_group = GATEWAY_API_GROUP if default_kind == "Gateway" else ""
    group = written.get("group")
    port = written.get("port")
    return Reference(
        path=path,
        group=default_group if group is None else str(group),
        kind=text_or_none(written.get("kind")) or default_kind,
        namespace=text_or_none(written.get("namespace")) or owner.namespace,
        name=str(written.get("name")),
        port=port if isinstance(port, int) else None,
        section=text_or_none(written.get("sectionName")),
    )


def listeners(gateway: Resource) -> Iterator[Listener]:
    """Yield the listeners of a Gateway of the Gateway API."""
    for at, each in _mappings(gateway.spec.get("listeners")):
        path = f"spec.listeners[{at}]"
        allowed = mapping_or_empty(mapping_or_empty(each.get("allowedRoutes")).get("namespaces"))
        tls = mapping_or_empty(each.get("tls"))
        port = each.get("port")
        yield Listener(
            path=path,
            name=str(each.get("name")),
            port=port if isinstance(port, int) else 0,
            protocol=str(each.get("protocol")),
            hostname=text_or_none(each.get("hostname")) or None,
            routes_from=str(allowed.get("from", "Same")),
            certificates=tuple(
                _reference(f"{path}.tls.certificateRefs[{index}]", written, gateway, "Secret")
                for index, written in _mappings(tls.get("certificateRefs"))
            ),
        )


class Grants:
    """What ReferenceGrants allow: references into their namespace from others."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._allowed: set[tuple[str, str, str, str, str, str | None]] = set()
        for resource in resources:
            if resource.id.group == GATEWAY_API_GROUP and resource.kind == "ReferenceGrant":
                for _, source in _mappings(resource.spec.get("from")):
                    for _, target in _mappings(resource.spec.get("to")):
                        self._allowed.add(
                            (
                                str(source.get("kind")),
                                str(source.get("namespace")),
                                resource.namespace,
                                str(target.get("group", "")),
                                str(target.get("kind")),
                                text_or_none(target.get("name")),
                            )
                        )

    def allow(self, owner: Resource, to: Reference) -> bool:
        """Return True if the owner may refer to the object, in its own namespace or by a grant."""
        if owner.namespace == to.namespace:
            return True
        base = (owner.kind, owner.namespace, to.namespace, to.group, to.kind)
        return (*base, to.name) in self._allowed or (*base, None) in self._allowed


def _mappings(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return ((at, it) for at, it in enumerate(list_or_empty(value)) if isinstance(it, dict))
