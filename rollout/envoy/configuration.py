"""The input and the output of a translation: objects and local addresses, xDS resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..gateway_api.objects import GatewayApiObjects
from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.kubernetes import Service, Workload
from ..manifests.request_authentication import RequestAuthentication
from ..manifests.security import AuthorizationPolicy, PeerAuthentication
from ..manifests.service_entry import ServiceEntry
from ..manifests.sidecar import Sidecar
from ..manifests.virtual_service import VirtualService

#: A message in protobuf's JSON format.
Resource = Mapping[str, Any]


class Address(NamedTuple):
    host: str
    port: int


class PodPort(NamedTuple):
    """A container port of a workload's pods."""

    namespace: str
    workload: str
    port: int


@dataclass(frozen=True, slots=True)
class Objects:
    """The applied objects: Istio's, and the Services and workloads that they name.

    Those of the Gateway API are as they are applied: ``with_gateway_api`` adds what istiod makes of
    them.
    """

    virtual_services: tuple[VirtualService, ...]
    destination_rules: tuple[DestinationRule, ...]
    gateways: tuple[Gateway, ...]
    services: tuple[Service, ...]
    workloads: tuple[Workload, ...]
    service_entries: tuple[ServiceEntry, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    authorization_policies: tuple[AuthorizationPolicy, ...] = ()
    request_authentications: tuple[RequestAuthentication, ...] = ()
    gateway_api: GatewayApiObjects = field(default_factory=GatewayApiObjects)


class CertificateFiles(NamedTuple):
    """The paths of a certificate and its key (PEM); without a key it only verifies others."""

    chain: str
    key: str = ""


class LocalSidecar(NamedTuple):
    """Where a pod's sidecar listens for one of its ports, and whether it accepts mutual TLS."""

    address: Address
    mode: Literal["DISABLE", "PERMISSIVE", "STRICT"]


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """The addresses on this machine.

    ``pods`` has the addresses of the ready pods, by container port. ``listeners`` has the address
    to listen on for each Gateway port. ``mesh`` is the address to listen on for callers inside the
    mesh; None for no such listener. ``elsewhere`` answers for services whose pods are not among the
    objects; without it they have no endpoints. ``sidecars`` stand in front of a port of a pod, by
    the pod's address. ``certificates`` has the files of the secrets that Istio's agent would give
    the proxies, by name.
    """

    pods: Mapping[PodPort, tuple[Address, ...]]
    listeners: Mapping[int, Address]
    mesh: Address | None = None
    elsewhere: Address | None = None
    sidecars: Mapping[tuple[PodPort, Address], LocalSidecar] = field(default_factory=dict)
    certificates: Mapping[str, CertificateFiles] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Envoy's resources, each with its ``@type``; ``load_assignments`` are by cluster name.

    The same input gives the same resources in the same order, so their texts can be compared.
    """

    listeners: tuple[Resource, ...]
    route_configurations: tuple[Resource, ...]
    clusters: tuple[Resource, ...]
    load_assignments: Mapping[str, Resource]
