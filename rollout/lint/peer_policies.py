"""Which mutual TLS the PeerAuthentications demand of pods, as Istio merges them. Pure.

https://istio.io/latest/docs/reference/config/security/peer_authentication/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..manifests.kinds import ISTIO_GROUP_SUFFIX
from ..manifests.untyped import mapping_or_empty
from .resource import Resource
from .visibility import ROOT_NAMESPACE

_MODES: Final = frozenset({"DISABLE", "PERMISSIVE", "STRICT"})


class DemandedTls(NamedTuple):
    """``STRICT``, ``PERMISSIVE`` or ``DISABLE``, and the policy that says so."""

    mode: str
    policy: Resource


class PeerPolicies:
    """The PeerAuthentications of some resources."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._for_pods: dict[str, list[tuple[Mapping[str, str], Resource]]] = {}
        self._for_namespaces: dict[str, Resource] = {}
        for resource in resources:
            is_istio = resource.id.group.endswith(ISTIO_GROUP_SUFFIX)
            if resource.kind != "PeerAuthentication" or not is_istio:
                continue
            selector = mapping_or_empty(resource.spec.get("selector"))
            written = mapping_or_empty(selector.get("matchLabels"))
            labels = {str(key): str(value) for key, value in written.items()}
            if labels:
                self._for_pods.setdefault(resource.namespace, []).append((labels, resource))
            else:
                self._for_namespaces.setdefault(resource.namespace, resource)

    def demanded(self, namespace: str, labels: Mapping[str, str], port: int) -> DemandedTls | None:
        """Return what pods with the labels demand at a container port, None if nothing is said."""
        for selected, policy in self._for_pods.get(namespace, ()):
            if selected.items() <= labels.items():
                by_port = mapping_or_empty(policy.spec.get("portLevelMtls"))
                # YAML may have the number as a text or not.
                for settings in (by_port.get(str(port)), by_port.get(port), _mtls(policy)):  # type: ignore[call-overload]
                    if mode := _mode(settings):
                        return DemandedTls(mode, policy)
        for scope in (namespace, ROOT_NAMESPACE):
            whole = self._for_namespaces.get(scope)
            if whole and (mode := _mode(_mtls(whole))):
                return DemandedTls(mode, whole)
        return None


def _mtls(policy: Resource) -> Any:
    return policy.spec.get("mtls")


def _mode(settings: Any) -> str | None:
    mode = mapping_or_empty(settings).get("mode")
    return mode if isinstance(mode, str) and mode in _MODES else None
