"""What a translation takes and gives: objects and local addresses in, xDS resources out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.kubernetes import Service, Workload
from ..manifests.virtual_service import VirtualService

Resource = Mapping[str, Any]


class Address(NamedTuple):
    host: str
    port: int


class PodPort(NamedTuple):
    """A container's port of a workload's pods."""

    namespace: str
    workload: str
    port: int


@dataclass(frozen=True, slots=True)
class Objects:
    """What the mesh knows of: Istio's objects, and the Services and workloads that they name."""

    virtual_services: tuple[VirtualService, ...]
    destination_rules: tuple[DestinationRule, ...]
    gateways: tuple[Gateway, ...]
    services: tuple[Service, ...]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where things are on this machine.

    ``pods`` has the addresses of the pods that are ready, for each of their ports. ``listeners``
    says where each of the Gateways' ports is to listen, ``mesh`` where callers inside the mesh
    would come out (None: nowhere).
    """

    pods: Mapping[PodPort, tuple[Address, ...]]
    listeners: Mapping[int, Address]
    mesh: Address | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Envoy's resources, each with its ``@type``; of one cluster at most one load assignment.

    The order of things in it is the same for the same input, so that texts can be compared.
    """

    listeners: tuple[Resource, ...]
    route_configurations: tuple[Resource, ...]
    clusters: tuple[Resource, ...]
    #: By cluster.
    load_assignments: Mapping[str, Resource]
