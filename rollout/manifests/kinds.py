"""Istio's kinds: their models, and which of them nothing here interprets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .destination_rule import DestinationRule
from .envoy_filter import EnvoyFilter
from .extensions import ProxyConfig, TrafficExtension, WasmPlugin
from .gateway import Gateway
from .metadata import IstioObject
from .not_modelled import NotModelled
from .request_authentication import RequestAuthentication
from .security import AuthorizationPolicy, PeerAuthentication
from .service_entry import ServiceEntry, WorkloadEntry, WorkloadGroup
from .sidecar import Sidecar
from .telemetry import Telemetry
from .virtual_service import VirtualService

#: All of Istio's API groups end with this.
ISTIO_GROUP_SUFFIX: Final = ".istio.io"
#: The version of Istio whose fields the models have.
ISTIO_VERSION: Final = "1.31"


@dataclass(frozen=True, slots=True)
class SupportedKind:
    model: type[IstioObject]
    #: The newest first.
    versions: tuple[str, ...]
    #: What stays unchecked if nothing here interprets objects of the kind.
    not_modelled: NotModelled | None = None


_NETWORKING: Final = ("v1", "v1beta1", "v1alpha3")
_SECURITY: Final = ("v1", "v1beta1")
_FILTERS: Final = "what it changes in the proxies isn't checked"

SUPPORTED: Final = {
    ("extensions.istio.io", "TrafficExtension"): SupportedKind(
        TrafficExtension, ("v1alpha1",), NotModelled("TrafficExtension", _FILTERS)
    ),
    ("extensions.istio.io", "WasmPlugin"): SupportedKind(
        WasmPlugin, ("v1alpha1",), NotModelled("WasmPlugin", _FILTERS)
    ),
    ("networking.istio.io", "DestinationRule"): SupportedKind(DestinationRule, _NETWORKING),
    ("networking.istio.io", "EnvoyFilter"): SupportedKind(
        EnvoyFilter, ("v1alpha3",), NotModelled("EnvoyFilter", _FILTERS)
    ),
    ("networking.istio.io", "Gateway"): SupportedKind(Gateway, _NETWORKING),
    ("networking.istio.io", "ProxyConfig"): SupportedKind(
        ProxyConfig,
        ("v1beta1",),
        NotModelled("ProxyConfig", "how proxies run isn't checked", changes_requests=False),
    ),
    ("networking.istio.io", "ServiceEntry"): SupportedKind(
        ServiceEntry,
        _NETWORKING,
        NotModelled(
            "ServiceEntry",
            "only its hosts are checked, not its ports and endpoints",
            # A rehearsal translates it, and says that a stub answers.
            changes_requests=False,
        ),
    ),
    ("networking.istio.io", "Sidecar"): SupportedKind(Sidecar, _NETWORKING),
    ("networking.istio.io", "VirtualService"): SupportedKind(VirtualService, _NETWORKING),
    ("networking.istio.io", "WorkloadEntry"): SupportedKind(
        WorkloadEntry,
        _NETWORKING,
        NotModelled("WorkloadEntry", "which Services it belongs to isn't checked"),
    ),
    ("networking.istio.io", "WorkloadGroup"): SupportedKind(
        WorkloadGroup,
        _NETWORKING,
        NotModelled("WorkloadGroup", "which workloads join isn't checked", changes_requests=False),
    ),
    ("security.istio.io", "AuthorizationPolicy"): SupportedKind(AuthorizationPolicy, _SECURITY),
    ("security.istio.io", "PeerAuthentication"): SupportedKind(PeerAuthentication, _SECURITY),
    ("security.istio.io", "RequestAuthentication"): SupportedKind(RequestAuthentication, _SECURITY),
    ("telemetry.istio.io", "Telemetry"): SupportedKind(Telemetry, ("v1", "v1alpha1")),
}
#: Kinds that no webhook and no CustomResourceDefinition of a cluster validates any more.
OTHERS: Final = {
    ("install.istio.io", "IstioOperator"): NotModelled(
        "IstioOperator", "Istio's installation isn't checked", changes_requests=False
    ),
}
