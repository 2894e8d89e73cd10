"""Hosts as Istio reads them: what is short, what is a cluster's own, what is a wildcard."""

from __future__ import annotations

from typing import Final, NamedTuple

CLUSTER_SUFFIX: Final = ".svc.cluster.local"


class ServiceName(NamedTuple):
    namespace: str
    name: str

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}{CLUSTER_SUFFIX}"


def expand_host(host: str, namespace: str) -> str:
    """Complete a short host with the namespace of who names it; one with a dot stays as it is."""
    return host if "." in host or host == "*" else f"{host}.{namespace}{CLUSTER_SUFFIX}"


def service_of(host: str) -> ServiceName | None:
    """Return the Service that a full host names, None for a host outside the cluster."""
    name, dot, namespace = host.removesuffix(CLUSTER_SUFFIX).partition(".")
    if not host.endswith(CLUSTER_SUFFIX) or not dot or not name or "." in namespace:
        return None
    return ServiceName(namespace, name)


def half_qualified(host: str) -> ServiceName | None:
    """Return the Service that ``kv.shop`` or ``kv.shop.svc`` was meant for; Istio finds none."""
    name, _, rest = host.partition(".")
    namespace = rest.removesuffix(".svc")
    if not name or name == "*" or not namespace or "." in namespace:
        return None
    return ServiceName(namespace, name)


def overlap(one: str, other: str) -> bool:
    """Tell whether some name fits both, each a name or a wildcard domain."""
    return _within(one, other) or _within(other, one)


def _within(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name == pattern
