"""The caller that a translation is for: one gateway or one sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: Istio's root namespace. Rules in it apply where no nearer rule does.
ROOT_NAMESPACE: Final = "istio-system"
#: On the pods that Istio runs for a Gateway of the Gateway API: its name.
GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
#: The service account of the ingress gateway that istioctl installs.
_INGRESS_ACCOUNT: Final = "istio-ingressgateway-service-account"
_DEFAULT_ACCOUNT: Final = "default"


class ProxyKind(StrEnum):
    GATEWAY = "gateway"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An Envoy with the namespace, the labels and the service account of its pod.

    The same objects give each proxy another configuration: Gateways select proxies by labels,
    ``exportTo`` and Sidecars choose what a namespace sees, and routes may match the caller.
    """

    kind: ProxyKind
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = _DEFAULT_ACCOUNT

    @classmethod
    def gateway(
        cls,
        labels: Mapping[str, str],
        namespace: str = ROOT_NAMESPACE,
        service_account: str | None = None,
    ) -> Proxy:
        """Return a gateway; by default, its service account is the one that Istio gives it."""
        name = labels.get(GATEWAY_NAME)
        account = f"{name}-istio" if name else _INGRESS_ACCOUNT
        return cls(ProxyKind.GATEWAY, namespace, labels, service_account or account)

    @classmethod
    def sidecar(
        cls,
        namespace: str,
        labels: Mapping[str, str] | None = None,
        service_account: str = _DEFAULT_ACCOUNT,
    ) -> Proxy:
        return cls(ProxyKind.SIDECAR, namespace, labels or {}, service_account)

    @property
    def identity(self) -> str:
        """Return who the proxy is in mutual TLS: its SPIFFE ID."""
        return spiffe_id(self.namespace, self.service_account)

    @property
    def is_gateway(self) -> bool:
        return self.kind is ProxyKind.GATEWAY

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Return True if the proxy's pod has all of these labels."""
        return all(self.labels.get(key) == value for key, value in labels.items())


def spiffe_id(namespace: str, service_account: str) -> str:
    """Return the identity of a service account in the mesh, with Istio's default trust domain."""
    return f"spiffe://cluster.local/ns/{namespace}/sa/{service_account}"


def exported(export_to: Iterable[str], owner: str, namespace: str) -> bool:
    """Return True if an object of namespace ``owner`` is visible in another namespace.

    ``exportTo`` has names of namespaces, ``.`` for the owner's and ``*`` for all, ``~`` for none;
    without any, all see it.
    """
    names = {owner if each == "." else each for each in export_to}
    return not names or "*" in names or namespace in names
