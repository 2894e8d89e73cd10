"""Which pod of a cluster gets a request: by load, by chance, in turn, or by a hash."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.traffic_policy import ConsistentHash, LoadBalancer
from .protobuf import duration

_DEFAULT: Final = "LEAST_REQUEST"
_RING_SIZE: Final = 1024


def lb_policy(balancer: LoadBalancer | None) -> dict[str, Any]:
    """Return a cluster's fields; a pinned caller's pod is drawn from a ring."""
    if balancer and balancer.consistent_hash:
        least = _ring_size(balancer.consistent_hash)
        ring = {"ring_hash_lb_config": {"minimum_ring_size": least}} if least else {}
        return {"lb_policy": "RING_HASH", **ring}
    said = balancer.simple if balancer else None
    return {"lb_policy": _DEFAULT if said in {None, "UNSPECIFIED"} else said}


def hash_policy(balancer: LoadBalancer | None) -> list[dict[str, Any]]:
    """Return what of a request is hashed, for the route that leads to the cluster."""
    hashed = balancer.consistent_hash if balancer else None
    if hashed is None:
        return []
    cookie = hashed.http_cookie
    if cookie is None:
        return [{"header": {"header_name": hashed.http_header_name}}]
    return [
        {
            "cookie": {
                "name": cookie.name,
                **({} if cookie.ttl is None else {"ttl": duration(cookie.ttl)}),
                **({"path": cookie.path} if cookie.path else {}),
            }
        }
    ]


def _ring_size(hashed: ConsistentHash) -> int:
    """Return the least size of the ring, 0 for Envoy's own default."""
    if hashed.ring_hash:
        return hashed.ring_hash.minimum_ring_size
    return hashed.minimum_ring_size or _RING_SIZE
