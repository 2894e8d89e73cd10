"""Where requests go: clusters as destinations, and how people name them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..envoy.resource_names import ClusterName
from ..manifests.hosts import CLUSTER_SUFFIX, service_of


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a service, or a subset of its pods; ``pods`` are the workloads and their port.

    Without pods among the manifests, the name alone says what it is.
    """

    host: str
    port: str
    subset: str = ""
    pods: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cluster: str, pods: Mapping[str, frozenset[str]]) -> Target:
        """Return what a cluster's name means; ``pods`` is by cluster."""
        name = ClusterName.parse(cluster)
        return cls(name.host, name.port, name.subset, pods.get(cluster, frozenset()))

    @property
    def short(self) -> str:
        """Return the subset, or the Service's name without what is usual."""
        return self.subset or self.host.removesuffix(CLUSTER_SUFFIX)

    def __str__(self) -> str:
        """Return how a test file names it in full: ``kv.shop:8080/canary``."""
        host = self.host.removesuffix(CLUSTER_SUFFIX)
        port = f":{self.port}" if self.port else ""
        return f"{host}{port}{f'/{self.subset}' if self.subset else ''}"

    def is_named(self, text: str) -> bool:
        """Return True if a person means this destination.

        ``canary`` is a subset or a Service, ``/canary`` a subset, ``kv/canary`` a subset of a
        Service; ``kv``, ``kv.shop``, a full host, and a port after any of them are understood.
        """
        host, slash, subset = text.partition("/")
        if slash and subset != self.subset:
            return False
        if not host:
            return bool(slash)
        name, colon, port = host.partition(":")
        if colon and port != self.port:
            return False
        if not slash and not colon and name == self.subset:
            return True
        known = {self.host, self.host.removesuffix(CLUSTER_SUFFIX)}
        if service := service_of(self.host):
            known |= {service.name, f"{service.name}.{service.namespace}.svc"}
        return name in known


def unambiguous(target: Target, others: Iterable[Target]) -> str:
    """Return the shortest name that means this destination and none of the others."""
    rest = [each for each in others if each != target]
    service = service_of(target.host)
    names = [target.subset] if target.subset else []
    names += [service.name] if service and not target.subset else []
    names += [f"{service.name}/{target.subset}"] if service and target.subset else []
    for each in names:
        if not any(other.is_named(each) for other in rest):
            return each
    return str(target)
