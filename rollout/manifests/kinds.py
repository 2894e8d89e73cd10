"""Which of Istio's kinds are supported, and what becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .authorization_policy import AuthorizationPolicy
from .destination_rule import DestinationRule
from .gateway import Gateway
from .metadata import IstioObject
from .peer_authentication import PeerAuthentication
from .request_authentication import RequestAuthentication
from .sidecar import Sidecar
from .telemetry import Telemetry
from .virtual_service import VirtualService

#: Every API group of Istio's ends so.
ISTIO: Final = ".istio.io"


@dataclass(frozen=True, slots=True)
class Supported:
    model: type[IstioObject]
    versions: tuple[str, ...]


_NETWORKING: Final = ("v1", "v1beta1", "v1alpha3")
_SECURITY: Final = ("v1", "v1beta1")

SUPPORTED: Final = {
    ("networking.istio.io", "DestinationRule"): Supported(DestinationRule, _NETWORKING),
    ("networking.istio.io", "Gateway"): Supported(Gateway, _NETWORKING),
    ("networking.istio.io", "Sidecar"): Supported(Sidecar, _NETWORKING),
    ("networking.istio.io", "VirtualService"): Supported(VirtualService, _NETWORKING),
    ("security.istio.io", "AuthorizationPolicy"): Supported(AuthorizationPolicy, _SECURITY),
    ("security.istio.io", "PeerAuthentication"): Supported(PeerAuthentication, _SECURITY),
    ("security.istio.io", "RequestAuthentication"): Supported(RequestAuthentication, _SECURITY),
    ("telemetry.istio.io", "Telemetry"): Supported(Telemetry, ("v1", "v1alpha1")),
}

#: Kinds that Istio has and we refuse, with what to do instead.
REFUSED: Final = {
    ("networking.istio.io", "EnvoyFilter"): "say it with VirtualService and DestinationRule",
    ("networking.istio.io", "ProxyConfig"): "set it for the mesh, or by a pod's annotation",
    ("networking.istio.io", "ServiceEntry"): "reach it by a Service of type ExternalName",
    ("networking.istio.io", "WorkloadEntry"): "run the workload as pods",
    ("networking.istio.io", "WorkloadGroup"): "run the workload as pods",
    ("extensions.istio.io", "WasmPlugin"): "do it in the service itself",
    ("extensions.istio.io", "TrafficExtension"): "do it in the service itself",
    ("install.istio.io", "IstioOperator"): "keep Istio's own installation apart",
}
