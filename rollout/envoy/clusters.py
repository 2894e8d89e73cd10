"""One cluster for each HTTP port of a Service, and one for each of its subsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..manifests.hosts import ServiceName
from ..manifests.kubernetes import Service, ServicePort
from ..manifests.traffic_policy import TrafficPolicy
from .balancing import lb_policy
from .names import cluster_name, stat_name
from .outliers import outlier_fields
from .pools import pool_fields
from .protobuf import CLUSTER, typed
from .protocols import protocol_of
from .registry import Registry, http_ports


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster stands for; without a subset the labels are none."""

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


def clusters(registry: Registry) -> Iterator[Cluster]:
    """Yield all clusters that istiod would send, whether a route leads to them or not."""
    for service in registry.services:
        for port in http_ports(service):
            whole = Cluster(service, port, None, {})
            yield whole
            for subset in registry.subsets(whole.host):
                yield Cluster(service, port, subset.name, subset.labels)


def cluster_resource(cluster: Cluster, policy: TrafficPolicy) -> dict[str, Any]:
    """Return Envoy's cluster; where its endpoints are found is for whoever writes them to say."""
    return typed(
        CLUSTER,
        name=cluster.name,
        alt_stat_name=stat_name(cluster.name),
        type="EDS",
        eds_cluster_config={"service_name": cluster.name},
        **pool_fields(policy.connection_pool, protocol_of(cluster.port)),
        **lb_policy(policy.load_balancer),
        **outlier_fields(policy.outlier_detection),
    )
