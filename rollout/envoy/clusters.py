"""Envoy's clusters: one for each HTTP port of a Service and one for each of its subsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..manifests.hosts import ServiceName
from ..manifests.kubernetes import Service, ServicePort
from ..manifests.traffic_policy import TrafficPolicy
from .connection_pool import connection_pool_fields
from .load_balancing import lb_policy
from .outlier_detection import outlier_detection_fields
from .protobuf_json import CLUSTER, typed
from .protocol_selection import protocol_of
from .resource_names import cluster_name, stat_name
from .service_registry import ServiceRegistry, http_ports


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster before translation; ``labels`` are the subset's, empty without a subset."""

    service: Service
    port: ServicePort
    subset: str | None
    labels: Mapping[str, str]

    @property
    def host(self) -> str:
        return ServiceName(self.service.namespace, self.service.name).host

    @property
    def name(self) -> str:
        return cluster_name(self.host, self.port.number, self.subset)


def clusters(registry: ServiceRegistry) -> Iterator[Cluster]:
    """Yield all clusters that istiod would send, including those that no route names."""
    for service in registry.services:
        for port in http_ports(service):
            whole = Cluster(service, port, None, {})
            yield whole
            for subset in registry.subsets(whole.host):
                yield Cluster(service, port, subset.name, subset.labels)


def cluster_resource(cluster: Cluster, policy: TrafficPolicy) -> dict[str, Any]:
    """Return Envoy's cluster, still without the config source of its endpoints."""
    return typed(
        CLUSTER,
        name=cluster.name,
        alt_stat_name=stat_name(cluster.name),
        type="EDS",
        eds_cluster_config={"service_name": cluster.name},
        **connection_pool_fields(policy.connection_pool, protocol_of(cluster.port)),
        **lb_policy(policy.load_balancer),
        **outlier_detection_fields(policy.outlier_detection),
    )
