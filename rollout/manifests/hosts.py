"""Hosts as Istio resolves them: short names, names of the cluster, wildcard domains."""

from __future__ import annotations

from typing import Final, NamedTuple

CLUSTER_SUFFIX: Final = ".svc.cluster.local"


class ServiceName(NamedTuple):
    namespace: str
    name: str

    @property
    def host(self) -> str:
        """Return the fully qualified domain name."""
        return f"{self.name}.{self.namespace}{CLUSTER_SUFFIX}"


def expand_host(host: str, namespace: str) -> str:
    """Complete a short host with the namespace of the object that names it.

    Istio leaves a host with a dot as it is.
    """
    return host if "." in host or host == "*" else f"{host}.{namespace}{CLUSTER_SUFFIX}"


def service_of(host: str) -> ServiceName | None:
    """Return the Service that a full host names, None for a host outside the cluster."""
    name, dot, namespace = host.removesuffix(CLUSTER_SUFFIX).partition(".")
    if not host.endswith(CLUSTER_SUFFIX) or not dot or not name or "." in namespace:
        return None
    return ServiceName(namespace, name)


def half_qualified(host: str) -> ServiceName | None:
    """Return the Service that ``kv.shop`` or ``kv.shop.svc`` probably means, else None.

    Istio does not complete such a host, so it finds no Service.
    """
    name, _, rest = host.partition(".")
    namespace = rest.removesuffix(".svc")
    if not name or name == "*" or not namespace or "." in namespace:
        return None
    return ServiceName(namespace, name)


def overlap(one: str, other: str) -> bool:
    """Return True if some name matches both; each is a name or a wildcard domain."""
    return covers_host(one, other) or covers_host(other, one)


def covers_host(pattern: str, name: str) -> bool:
    """Return True if a name or a wildcard domain matches all that ``name`` does."""
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name == pattern
