"""Sidecar: which hosts the proxy of a pod can reach.

https://istio.io/latest/docs/reference/config/networking/sidecar/
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .metadata import IstioObject
from .strict_model import StrictModel, unsupported


class SidecarPort(StrictModel):
    number: Annotated[int, Field(ge=0, le=65535)]
    protocol: str | None = None
    name: str | None = None


class EgressListener(StrictModel):
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: Literal["DEFAULT", "IPTABLES", "NONE"] = "DEFAULT"


class OutboundTrafficPolicy(StrictModel):
    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Annotated[
        Any, unsupported("an egress proxy for unknown hosts", "remove egressProxy")
    ] = None


class SidecarSelector(StrictModel):
    labels: dict[str, str] = Field(default_factory=dict)


class SidecarSpec(StrictModel):
    workload_selector: SidecarSelector | None = None
    egress: tuple[EgressListener, ...] = ()
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    ingress: Annotated[
        Any,
        unsupported("a custom inbound listener", "remove ingress; Istio derives it from Services"),
    ] = None
    inbound_connection_pool: Annotated[
        Any,
        unsupported("an inbound connection limit", "set the limit in a DestinationRule"),
    ] = None


class Sidecar(IstioObject):
    spec: SidecarSpec
