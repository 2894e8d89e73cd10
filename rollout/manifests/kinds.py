"""Istio's kinds and the Gateway API's: their models, and which of them nothing here interprets."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

from .metadata import IstioObject
from .not_modelled import NotModelled

#: All of Istio's API groups end with this.
ISTIO_GROUP_SUFFIX: Final = ".istio.io"
#: The version of Istio whose fields the models have.
ISTIO_VERSION: Final = "1.31"


@dataclass(frozen=True, slots=True)
class SupportedKind:
    module: str
    name: str
    #: The newest first.
    versions: tuple[str, ...]
    #: What stays unchecked if nothing here interprets objects of the kind.
    not_modelled: NotModelled | None = None

    @property
    def model(self) -> type[IstioObject]:
        """Import and return the model: most inputs have few kinds, and models load slowly."""
        module = importlib.import_module(f".{self.module}", __package__)
        model: type[IstioObject] = getattr(module, self.name)
        return model


_NETWORKING: Final = ("v1", "v1beta1", "v1alpha3")
_GATEWAY_API: Final = ("v1", "v1beta1")
_SECURITY: Final = ("v1", "v1beta1")
_FILTERS: Final = "what it changes in the proxies isn't checked"

SUPPORTED: Final = {
    ("extensions.istio.io", "TrafficExtension"): SupportedKind(
        "extensions", "TrafficExtension", ("v1alpha1",), NotModelled("TrafficExtension", _FILTERS)
    ),
    ("extensions.istio.io", "WasmPlugin"): SupportedKind(
        "extensions", "WasmPlugin", ("v1alpha1",), NotModelled("WasmPlugin", _FILTERS)
    ),
    ("gateway.networking.k8s.io", "GRPCRoute"): SupportedKind(
        "gateway_api.routes", "GRPCRoute", ("v1",)
    ),
    ("gateway.networking.k8s.io", "Gateway"): SupportedKind(
        "gateway_api.gateway", "ApiGateway", _GATEWAY_API
    ),
    ("gateway.networking.k8s.io", "GatewayClass"): SupportedKind(
        "gateway_api.gateway", "GatewayClass", _GATEWAY_API
    ),
    ("gateway.networking.k8s.io", "HTTPRoute"): SupportedKind(
        "gateway_api.routes", "HTTPRoute", _GATEWAY_API
    ),
    ("gateway.networking.k8s.io", "ReferenceGrant"): SupportedKind(
        "gateway_api.gateway", "ReferenceGrant", _GATEWAY_API
    ),
    ("networking.istio.io", "DestinationRule"): SupportedKind(
        "destination_rule", "DestinationRule", _NETWORKING
    ),
    ("networking.istio.io", "EnvoyFilter"): SupportedKind(
        "envoy_filter", "EnvoyFilter", ("v1alpha3",), NotModelled("EnvoyFilter", _FILTERS)
    ),
    ("networking.istio.io", "Gateway"): SupportedKind("gateway", "Gateway", _NETWORKING),
    ("networking.istio.io", "ProxyConfig"): SupportedKind(
        "extensions",
        "ProxyConfig",
        ("v1beta1",),
        NotModelled("ProxyConfig", "how proxies run isn't checked", changes_requests=False),
    ),
    ("networking.istio.io", "ServiceEntry"): SupportedKind(
        "service_entry",
        "ServiceEntry",
        _NETWORKING,
        NotModelled(
            "ServiceEntry",
            "only its hosts are checked, not its ports and endpoints",
            # A rehearsal translates it, and says that a stub answers.
            changes_requests=False,
        ),
    ),
    ("networking.istio.io", "Sidecar"): SupportedKind("sidecar", "Sidecar", _NETWORKING),
    ("networking.istio.io", "VirtualService"): SupportedKind(
        "virtual_service", "VirtualService", _NETWORKING
    ),
    ("networking.istio.io", "WorkloadEntry"): SupportedKind(
        "service_entry",
        "WorkloadEntry",
        _NETWORKING,
        NotModelled("WorkloadEntry", "which Services it belongs to isn't checked"),
    ),
    ("networking.istio.io", "WorkloadGroup"): SupportedKind(
        "service_entry",
        "WorkloadGroup",
        _NETWORKING,
        NotModelled("WorkloadGroup", "which workloads join isn't checked", changes_requests=False),
    ),
    ("security.istio.io", "AuthorizationPolicy"): SupportedKind(
        "security", "AuthorizationPolicy", _SECURITY
    ),
    ("security.istio.io", "PeerAuthentication"): SupportedKind(
        "security", "PeerAuthentication", _SECURITY
    ),
    ("security.istio.io", "RequestAuthentication"): SupportedKind(
        "request_authentication", "RequestAuthentication", _SECURITY
    ),
    ("telemetry.istio.io", "Telemetry"): SupportedKind(
        "telemetry", "Telemetry", ("v1", "v1alpha1")
    ),
}
#: Kinds that no webhook and no CustomResourceDefinition of a cluster validates any more.
OTHERS: Final = {
    ("install.istio.io", "IstioOperator"): NotModelled(
        "IstioOperator", "Istio's installation isn't checked", changes_requests=False
    ),
}
