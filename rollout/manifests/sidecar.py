"""Sidecar: what a pod's proxy needs to know."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .metadata import IstioObject
from .part import Part, unsupported


class SidecarPort(Part):
    number: Annotated[int, Field(ge=0, le=65535)]
    protocol: str | None = None
    name: str | None = None


class EgressListener(Part):
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: Literal["DEFAULT", "IPTABLES", "NONE"] = "DEFAULT"


class OutboundTrafficPolicy(Part):
    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Annotated[
        Any, unsupported("a proxy for what is unknown", "leave egressProxy out")
    ] = None


class SidecarSelector(Part):
    labels: dict[str, str] = Field(default_factory=dict)


class SidecarSpec(Part):
    workload_selector: SidecarSelector | None = None
    egress: tuple[EgressListener, ...] = ()
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    ingress: Annotated[
        Any, unsupported("listeners of its own", "let Istio derive them from the Service")
    ] = None
    inbound_connection_pool: Annotated[
        Any, unsupported("limits of the receiving side", "limit it in a DestinationRule")
    ] = None


class Sidecar(IstioObject):
    spec: SidecarSpec
