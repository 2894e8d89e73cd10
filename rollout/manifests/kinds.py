"""Istio's kinds: the supported ones with their models, and the unsupported ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .destination_rule import DestinationRule
from .gateway import Gateway
from .metadata import IstioObject
from .security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from .sidecar import Sidecar
from .telemetry import Telemetry
from .virtual_service import VirtualService

#: All of Istio's API groups end with this.
ISTIO_GROUP_SUFFIX: Final = ".istio.io"


@dataclass(frozen=True, slots=True)
class SupportedKind:
    model: type[IstioObject]
    #: The newest first.
    versions: tuple[str, ...]


_NETWORKING: Final = ("v1", "v1beta1", "v1alpha3")
_SECURITY: Final = ("v1", "v1beta1")

SUPPORTED: Final = {
    ("networking.istio.io", "DestinationRule"): SupportedKind(DestinationRule, _NETWORKING),
    ("networking.istio.io", "Gateway"): SupportedKind(Gateway, _NETWORKING),
    ("networking.istio.io", "Sidecar"): SupportedKind(Sidecar, _NETWORKING),
    ("networking.istio.io", "VirtualService"): SupportedKind(VirtualService, _NETWORKING),
    ("security.istio.io", "AuthorizationPolicy"): SupportedKind(AuthorizationPolicy, _SECURITY),
    ("security.istio.io", "PeerAuthentication"): SupportedKind(PeerAuthentication, _SECURITY),
    ("security.istio.io", "RequestAuthentication"): SupportedKind(RequestAuthentication, _SECURITY),
    ("telemetry.istio.io", "Telemetry"): SupportedKind(Telemetry, ("v1", "v1alpha1")),
}

#: Kinds of Istio's without a model here, each with its remedy.
UNSUPPORTED: Final = {
    ("networking.istio.io", "EnvoyFilter"): "use VirtualService and DestinationRule",
    ("networking.istio.io", "ProxyConfig"): "set it in MeshConfig, or in an annotation of the pod",
    ("networking.istio.io", "ServiceEntry"): "use a Service of type ExternalName",
    ("networking.istio.io", "WorkloadEntry"): "run the workload in pods",
    ("networking.istio.io", "WorkloadGroup"): "run the workload in pods",
    ("extensions.istio.io", "WasmPlugin"): "implement it in the service itself",
    ("extensions.istio.io", "TrafficExtension"): "implement it in the service itself",
    ("install.istio.io", "IstioOperator"): "keep Istio's installation in another directory",
}
