"""A DestinationRule's load balancer as the policy of a cluster and the hash policy of a route."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.load_balancing import ConsistentHash, LoadBalancer
from ..manifests.traffic_policy import OutlierDetection
from .protobuf_json import duration

_DEFAULT: Final = "LEAST_REQUEST"
#: Istio's default of minimumRingSize.
_RING_SIZE: Final = 1024
#: Istio's defaults of a warm-up.
_AGGRESSION: Final = 1.0
_MINIMUM_PERCENT: Final = 10.0


def is_passthrough(balancer: LoadBalancer | None) -> bool:
    """Return True if requests go to the address that the caller chose."""
    return balancer is not None and balancer.simple == "PASSTHROUGH"


def lb_policy(balancer: LoadBalancer | None) -> dict[str, Any]:
    """Return the fields of a cluster; a consistent hash uses a ring or a Maglev table."""
    balancer = balancer or LoadBalancer()
    if balancer.consistent_hash:
        return _hash_table(balancer.consistent_hash)
    if balancer.simple == "RANDOM":
        return {"lb_policy": "RANDOM"}
    slow_start = _slow_start(balancer)
    policy = "ROUND_ROBIN" if balancer.simple == "ROUND_ROBIN" else _DEFAULT
    config = {f"{policy.lower()}_lb_config": {"slow_start_config": slow_start}}
    return {"lb_policy": policy, **(config if slow_start else {})}


def hash_policy(consistent_hash: ConsistentHash | None) -> list[dict[str, Any]]:
    """Return what of a request is hashed, for a route to the cluster."""
    if consistent_hash is None:
        return []
    if consistent_hash.http_header_name is not None:
        return [{"header": {"header_name": consistent_hash.http_header_name}}]
    if consistent_hash.use_source_ip is not None:
        return [{"connection_properties": {"source_ip": consistent_hash.use_source_ip}}]
    if consistent_hash.http_query_parameter_name is not None:
        return [{"query_parameter": {"name": consistent_hash.http_query_parameter_name}}]
    cookie = consistent_hash.http_cookie
    if cookie is None:
        return []
    attributes = [
        {"name": each.name, **({"value": each.value} if each.value else {})}
        for each in cookie.attributes
    ]
    return [
        {
            "cookie": {
                "name": cookie.name,
                **({} if cookie.ttl is None else {"ttl": duration(cookie.ttl)}),
                **({"path": cookie.path} if cookie.path else {}),
                **({"attributes": attributes} if attributes else {}),
            }
        }
    ]


def weighs_localities(balancer: LoadBalancer | None, outliers: OutlierDetection | None) -> bool:
    """Return True if Envoy weighs localities; failover needs outlier detection."""
    setting = balancer.locality_lb_setting if balancer else None
    if setting is None or setting.enabled is False:
        return False
    failover = setting.failover or setting.failover_priority
    return bool(setting.distribute or (outliers and failover))


def _hash_table(consistent_hash: ConsistentHash) -> dict[str, Any]:
    if consistent_hash.maglev:
        size = consistent_hash.maglev.table_size
        table = {"maglev_lb_config": {"table_size": size}} if size else {}
        return {"lb_policy": "MAGLEV", **table}
    size = _minimum_ring_size(consistent_hash)
    ring = {"ring_hash_lb_config": {"minimum_ring_size": size}} if size else {}
    return {"lb_policy": "RING_HASH", **ring}


def _minimum_ring_size(consistent_hash: ConsistentHash) -> int:
    """Return the minimum size of the ring, 0 for Envoy's default."""
    if consistent_hash.ring_hash:
        return consistent_hash.ring_hash.minimum_ring_size
    return consistent_hash.minimum_ring_size or _RING_SIZE


def _slow_start(balancer: LoadBalancer) -> dict[str, Any]:
    if warmup := balancer.warmup:
        aggression = _AGGRESSION if warmup.aggression is None else warmup.aggression
        percent = _MINIMUM_PERCENT if warmup.minimum_percent is None else warmup.minimum_percent
        return {
            "slow_start_window": duration(warmup.duration),
            # istiod names no runtime setting; Envoy wants a name.
            "aggression": {"default_value": aggression, "runtime_key": "("},
            "min_weight_percent": {"value": percent},
        }
    if balancer.warmup_duration_secs:
        return {"slow_start_window": duration(balancer.warmup_duration_secs)}
    return {}
