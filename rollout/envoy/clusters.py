"""Envoy's clusters: one for each port of a service that is not UDP, and one for each subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.traffic_policy import TrafficPolicy
from .connection_pool import connection_pool_fields, http_options
from .endpoints import Endpoint, endpoints_of, selected_workloads
from .load_balancing import is_passthrough, lb_policy, weighs_localities
from .outlier_detection import outlier_detection_fields
from .protobuf_json import CLUSTER, extension, typed
from .protocol_selection import Protocol
from .resource_names import cluster_name, server_name
from .scope import Scope
from .services import MeshPort, MeshService, Resolution
from .traffic_policies import cluster_policy
from .upstream_tls import decides_itself, http_options_of, transport_sockets

ORIGINAL_DST: Final = "ORIGINAL_DST"
EDS: Final = "EDS"
_TYPES: Final = {
    Resolution.ENDPOINTS: EDS,
    Resolution.ORIGINAL_ADDRESS: ORIGINAL_DST,
    Resolution.DNS: "STRICT_DNS",
    Resolution.DNS_ROUND_ROBIN: "LOGICAL_DNS",
}
#: Istio's settings of clusters that resolve names.
_DNS_FIELDS: Final[Mapping[str, Any]] = {
    "typed_dns_resolver_config": extension(
        "envoy.network.dns_resolver.cares",
        "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        udp_max_queries=100,
    ),
    "dns_refresh_rate": "60s",
    "dns_jitter": "0.100s",
    "respect_dns_ttl": True,
    "dns_lookup_family": "V4_ONLY",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: Envoy's resource, and its endpoints before they have addresses."""

    resource: Mapping[str, Any]
    endpoints: tuple[Endpoint, ...]

    @property
    def name(self) -> str:
        return str(self.resource["name"])

    @property
    def resolves_names(self) -> bool:
        return str(self.resource["type"]).endswith("_DNS")


def clusters(scope: Scope) -> Iterator[Cluster]:
    """Yield all clusters that istiod would send, including those that no route names."""
    return (each for each in _all_clusters(scope) if each.endpoints or not each.resolves_names)


def _all_clusters(scope: Scope) -> Iterator[Cluster]:
    for service in scope.services.values():
        for port in service.ports:
            if service.resolution in _TYPES and port.protocol is not Protocol.UDP:
                yield _cluster(scope, service, port, None, {})
                rule = scope.rule(service.host)
                for subset in rule.subsets if rule else ():
                    yield _cluster(scope, service, port, subset.name, subset.labels)


def _cluster(
    scope: Scope,
    service: MeshService,
    port: MeshPort,
    subset: str | None,
    labels: Mapping[str, str],
) -> Cluster:
    rule = scope.rule(service.host)
    policy = cluster_policy(rule, subset, port.number)
    kind = _kind(scope, service, policy)
    pool = policy.connection_pool
    options = http_options(
        pool,
        port.protocol,
        detects=not scope.proxy.is_gateway,
        more=http_options_of(policy.tls),
    )
    written = rule and (
        next(each.traffic_policy for each in rule.subsets if each.name == subset)
        if subset
        else rule.policy
    )
    resource = typed(
        CLUSTER,
        name=cluster_name(service.host, port.number, subset),
        type=kind,
        **(_DNS_FIELDS if kind.endswith("_DNS") else {}),
        **connection_pool_fields(pool, policy.retry_budget),
        **(
            {"lb_policy": "CLUSTER_PROVIDED"}
            if kind == ORIGINAL_DST
            else lb_policy(policy.load_balancer)
        ),
        **_common_lb_config(policy),
        **(
            {"outlier_detection": outlier_detection_fields(policy.outlier_detection)}
            if policy.outlier_detection
            else {}
        ),
        **options,
        **transport_sockets(
            policy,
            server_name=server_name(service.host, port.number, subset),
            http2="http2_protocol_options" in _explicit(options),
            auto=decides_itself(
                service,
                written or None,
                scope.objects.peer_authentications,
                selected_workloads(service, {}, scope.objects),
            ),
            original_address=kind == ORIGINAL_DST,
            may_read_secrets=scope.proxy.is_gateway or bool(rule and rule.selector is not None),
        ),
    )
    endpoints = () if kind == ORIGINAL_DST else endpoints_of(service, port, labels, scope.objects)
    return Cluster(resource, tuple(endpoints))


def _kind(scope: Scope, service: MeshService, policy: TrafficPolicy) -> str:
    if is_passthrough(policy.load_balancer):
        return ORIGINAL_DST
    kind = _TYPES[service.resolution]
    # A gateway's callers know no address of a pod.
    return EDS if kind == ORIGINAL_DST and scope.proxy.is_gateway else kind


def _common_lb_config(policy: TrafficPolicy) -> dict[str, Any]:
    outliers = policy.outlier_detection
    config = {
        # Envoy sends requests to ejected pods only if fewer than this are left.
        **({"healthy_panic_threshold": {"value": outliers.min_health_percent}} if outliers else {}),
        **(
            {"locality_weighted_lb_config": {}}
            if weighs_localities(policy.load_balancer, outliers)
            else {}
        ),
    }
    return {"common_lb_config": config} if config else {}


def _explicit(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(
        (
            each.get("explicit_http_config", {})
            for each in options.get("typed_extension_protocol_options", {}).values()
        ),
        {},
    )
