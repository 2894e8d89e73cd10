"""The services of the mesh: Kubernetes' Services and the hosts of ServiceEntries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ..manifests.hosts import ServiceName
from ..manifests.kubernetes import Service
from ..manifests.service_entry import Endpoint, ServiceEntry
from .age import oldest_first
from .configuration import Objects
from .protocol_selection import Protocol, parse_protocol, protocol_of
from .proxy import exported

#: On a Kubernetes Service: the namespaces that see it, separated by commas.
_EXPORT_TO: Final = "networking.istio.io/exportTo"


class Resolution(StrEnum):
    """Where the endpoints of a service come from."""

    #: Pods or listed addresses.
    ENDPOINTS = "endpoints"
    #: The address that the caller chose: headless Services, and ServiceEntries without resolution.
    ORIGINAL_ADDRESS = "original address"
    DNS = "dns"
    DNS_ROUND_ROBIN = "dns round robin"
    DYNAMIC_DNS = "dynamic dns"
    #: Another name of a service: Services of type ExternalName.
    ALIAS = "alias"


_RESOLUTIONS: Final = {
    "NONE": Resolution.ORIGINAL_ADDRESS,
    "STATIC": Resolution.ENDPOINTS,
    "DNS": Resolution.DNS,
    "DNS_ROUND_ROBIN": Resolution.DNS_ROUND_ROBIN,
    "DYNAMIC_DNS": Resolution.DYNAMIC_DNS,
}


@dataclass(frozen=True, slots=True)
class MeshPort:
    """``target`` is the number or the name of the pods' port."""

    number: int
    name: str
    protocol: Protocol
    target: int | str


@dataclass(frozen=True, slots=True)
class MeshService:
    """A host that callers know.

    ``selector`` chooses the pods, ``addresses`` lists endpoints instead. ``vips`` are the service's
    own addresses, where a ServiceEntry gives them. ``aliases`` are the hosts of ExternalName
    Services that name this one.
    """

    host: str
    namespace: str
    ports: tuple[MeshPort, ...]
    resolution: Resolution
    selector: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[Endpoint, ...] = ()
    vips: tuple[str, ...] = ()
    external: bool = False
    in_kubernetes: bool = True
    external_name: str = ""
    export_to: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def is_headless(self) -> bool:
        """Return True for a Service of Kubernetes without an address of its own."""
        return self.in_kubernetes and self.resolution is Resolution.ORIGINAL_ADDRESS

    def port(self, number: int) -> MeshPort | None:
        """Return the port with a number, None for a port of UDP."""
        ports = (each for each in self.ports if each.protocol is not Protocol.UDP)
        return next((each for each in ports if each.number == number), None)

    def visible_in(self, namespace: str) -> bool:
        return exported(self.export_to, self.namespace, namespace)


def mesh_services(objects: Objects) -> tuple[MeshService, ...]:
    """Return all services in the order of the objects, Kubernetes' first."""
    aliases: dict[str, list[str]] = {}
    for each in objects.services:
        if each.external_name:
            aliases.setdefault(each.external_name, []).append(_host(each))
    return (
        *(_of_kubernetes(each, tuple(aliases.get(_host(each), ()))) for each in objects.services),
        *(one for each in oldest_first(objects.service_entries) for one in _of_entry(each)),
    )


def _of_kubernetes(service: Service, aliases: tuple[str, ...]) -> MeshService:
    if service.external_name:
        resolution = Resolution.ALIAS
    elif service.headless:
        resolution = Resolution.ORIGINAL_ADDRESS
    else:
        resolution = Resolution.ENDPOINTS
    return MeshService(
        host=_host(service),
        namespace=service.namespace,
        ports=tuple(
            MeshPort(each.number, each.name or "", protocol_of(each), each.target)
            for each in service.ports
        ),
        resolution=resolution,
        selector=service.selector,
        external_name=service.external_name or "",
        export_to=_split(service.annotations.get(_EXPORT_TO, "")),
        aliases=aliases,
    )


def _of_entry(entry: ServiceEntry) -> Iterator[MeshService]:
    spec = entry.spec
    for host in spec.hosts:
        yield MeshService(
            host=host,
            namespace=entry.namespace,
            ports=tuple(
                MeshPort(
                    each.number,
                    each.name,
                    parse_protocol(each.protocol),
                    each.target_port or each.number,
                )
                for each in spec.ports
            ),
            resolution=_RESOLUTIONS[spec.resolution],
            selector=spec.workload_selector.labels if spec.workload_selector else {},
            addresses=spec.endpoints,
            vips=spec.addresses,
            external=spec.location != "MESH_INTERNAL",
            in_kubernetes=False,
            export_to=spec.export_to,
        )


def _host(service: Service) -> str:
    return ServiceName(service.namespace, service.name).host


def _split(names: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in names.split(",") if each.strip())
