"""Requests that are sent on: to whom, in which shares, copied, rewritten, retried, timed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..manifests.hosts import expand_host
from ..manifests.http_route import Destination, HttpRoute, Rewrite, WeightedDestination
from ..manifests.traffic_policy import TrafficPolicy
from .balancing import hash_policy
from .headers import header_changes
from .matches import route_match
from .protobuf import duration, share
from .registry import Registry
from .retries import retry_policy


class Forwarding:
    """Translates the routes of one namespace at one port."""

    def __init__(self, registry: Registry, namespace: str, listener_port: int) -> None:
        self._registry = registry
        self._namespace = namespace
        self._listener_port = listener_port

    def fields(self, route: HttpRoute) -> dict[str, Any]:
        """Return the action and the header fields of an Envoy route.

        A single destination gets everything, whatever its weight; among several, those of weight 0
        are left out. Where nothing is said no timeout ends the request.
        """
        changes = header_changes(route.headers)
        if route.rewrite and route.rewrite.authority:
            changes = replace(changes, authority=route.rewrite.authority)
        hashes = [
            each for one in route.active_destinations for each in self._hashes(one.destination)
        ]
        if len(route.route) == 1:
            [only] = route.route
            # The destination's own host counts only where the route says none.
            changes = changes.then(header_changes(only.headers))
            where: dict[str, Any] = {"cluster": self._cluster(only.destination)}
        else:
            weighted = [self._weighted(each) for each in route.active_destinations]
            where = {"weighted_clusters": {"clusters": weighted}}
        retries = retry_policy(route.retries, hashed=len(route.route) == 1 and bool(hashes))
        mirrors = [
            self._mirror(destination, percent)
            for destination, percent in route.mirror_destinations
            if percent
        ]
        return {
            "route": {
                **where,
                "timeout": duration(route.timeout or timedelta()),
                **_rewrite(route.rewrite),
                **({"host_rewrite_literal": changes.authority} if changes.authority else {}),
                **({"retry_policy": retries} if retries else {}),
                **({"request_mirror_policies": mirrors} if mirrors else {}),
                **({"hash_policy": hashes} if hashes else {}),
            },
            **changes.fields,
        }

    def _cluster(self, destination: Destination) -> str:
        return self._registry.cluster(destination, self._namespace, self._listener_port)

    def _weighted(self, destination: WeightedDestination) -> dict[str, Any]:
        changes = header_changes(destination.headers)
        return {
            "name": self._cluster(destination.destination),
            "weight": destination.weight,
            **changes.fields,
            **({"host_rewrite_literal": changes.authority} if changes.authority else {}),
        }

    def _hashes(self, destination: Destination) -> list[dict[str, Any]]:
        host = expand_host(destination.host, self._namespace)
        return hash_policy(self._registry.policy(host, destination.subset).load_balancer)

    def _mirror(self, destination: Destination, percent: float) -> dict[str, Any]:
        return {
            "cluster": self._cluster(destination),
            "runtime_fraction": {"default_value": share(percent)},
            "trace_sampled": False,
            # Istio's default since 1.28: a copy's host is that of the request.
            "disable_shadow_host_suffix_append": True,
        }


def default_route(cluster: str, policy: TrafficPolicy) -> dict[str, Any]:
    """Return the route to a Service that no VirtualService speaks of."""
    retries = retry_policy(None, hashed=False)
    hashes = hash_policy(policy.load_balancer)
    return {
        "name": "default",
        "match": route_match(None),
        "route": {
            "cluster": cluster,
            "timeout": duration(timedelta()),
            "retry_policy": retries,
            **({"hash_policy": hashes} if hashes else {}),
        },
    }


def _rewrite(rewrite: Rewrite | None) -> dict[str, Any]:
    if rewrite and rewrite.uri_regex_rewrite:
        return {
            "regex_rewrite": {
                "pattern": {"regex": rewrite.uri_regex_rewrite.match},
                "substitution": rewrite.uri_regex_rewrite.rewrite,
            }
        }
    return {"prefix_rewrite": rewrite.uri} if rewrite and rewrite.uri else {}
