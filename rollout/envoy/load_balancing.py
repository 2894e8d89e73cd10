"""A DestinationRule's load balancer as the policy of a cluster and the hash policy of a route."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.load_balancing import ConsistentHash, LoadBalancer
from .protobuf_json import duration

_DEFAULT: Final = "LEAST_REQUEST"
#: Istio's default of minimumRingSize.
_RING_SIZE: Final = 1024


def lb_policy(balancer: LoadBalancer | None) -> dict[str, Any]:
    """Return the fields of a cluster; a consistent hash uses Envoy's ring hash."""
    if balancer and balancer.consistent_hash:
        size = _minimum_ring_size(balancer.consistent_hash)
        ring = {"ring_hash_lb_config": {"minimum_ring_size": size}} if size else {}
        return {"lb_policy": "RING_HASH", **ring}
    simple = balancer.simple if balancer else None
    return {"lb_policy": _DEFAULT if simple in {None, "UNSPECIFIED"} else simple}


def hash_policy(balancer: LoadBalancer | None) -> list[dict[str, Any]]:
    """Return the header or cookie that is hashed, for a route to the cluster."""
    consistent_hash = balancer.consistent_hash if balancer else None
    if consistent_hash is None:
        return []
    cookie = consistent_hash.http_cookie
    if cookie is None:
        return [{"header": {"header_name": consistent_hash.http_header_name}}]
    return [
        {
            "cookie": {
                "name": cookie.name,
                **({} if cookie.ttl is None else {"ttl": duration(cookie.ttl)}),
                **({"path": cookie.path} if cookie.path else {}),
            }
        }
    ]


def _minimum_ring_size(consistent_hash: ConsistentHash) -> int:
    """Return the minimum size of the ring, 0 for Envoy's default."""
    if consistent_hash.ring_hash:
        return consistent_hash.ring_hash.minimum_ring_size
    return consistent_hash.minimum_ring_size or _RING_SIZE
