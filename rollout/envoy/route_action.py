"""Envoy's RouteAction: destinations, weights, timeouts, retries, rewrites, mirrors, hash policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..manifests.destinations import Destination, WeightedDestination
from ..manifests.hosts import expand_host
from ..manifests.http_route import HttpRoute, Rewrite
from ..manifests.traffic_policy import TrafficPolicy
from .header_mutations import header_mutations
from .load_balancing import hash_policy
from .protobuf_json import duration, fractional_percent
from .retry_policy import retry_policy
from .route_match import route_match
from .service_registry import ServiceRegistry


class RouteActions:
    """Translates routes of one namespace for one listener port."""

    def __init__(self, registry: ServiceRegistry, namespace: str, listener_port: int) -> None:
        self._registry = registry
        self._namespace = namespace
        self._listener_port = listener_port

    def fields(self, route: HttpRoute) -> dict[str, Any]:
        """Return the fields of an Envoy route: the action and the header mutations.

        A single destination gets all requests, whatever its weight. Of several destinations, those
        with weight 0 are omitted. Without a timeout in the route, there is none.
        """
        mutations = header_mutations(route.headers)
        if route.rewrite and route.rewrite.authority:
            mutations = replace(mutations, authority=route.rewrite.authority)
        hash_policies = [
            each for one in route.active_destinations for each in self._hash_policy(one.destination)
        ]
        if len(route.route) == 1:
            [only] = route.route
            # The authority of the destination counts only if the route sets none.
            mutations = mutations.then(header_mutations(only.headers))
            destinations: dict[str, Any] = {"cluster": self._cluster(only.destination)}
        else:
            weighted = [self._weighted_cluster(each) for each in route.active_destinations]
            destinations = {"weighted_clusters": {"clusters": weighted}}
        hashed = len(route.route) == 1 and bool(hash_policies)
        retries = retry_policy(route.retries, hashed=hashed)
        mirrors = [
            self._mirror_policy(destination, percent)
            for destination, percent in route.mirror_destinations
            if percent
        ]
        return {
            "route": {
                **destinations,
                "timeout": duration(route.timeout or timedelta()),
                **_rewrite(route.rewrite),
                **({"host_rewrite_literal": mutations.authority} if mutations.authority else {}),
                **({"retry_policy": retries} if retries else {}),
                **({"request_mirror_policies": mirrors} if mirrors else {}),
                **({"hash_policy": hash_policies} if hash_policies else {}),
            },
            **mutations.fields,
        }

    def _cluster(self, destination: Destination) -> str:
        return self._registry.cluster(destination, self._namespace, self._listener_port)

    def _weighted_cluster(self, destination: WeightedDestination) -> dict[str, Any]:
        mutations = header_mutations(destination.headers)
        return {
            "name": self._cluster(destination.destination),
            "weight": destination.weight,
            **mutations.fields,
            **({"host_rewrite_literal": mutations.authority} if mutations.authority else {}),
        }

    def _hash_policy(self, destination: Destination) -> list[dict[str, Any]]:
        host = expand_host(destination.host, self._namespace)
        return hash_policy(self._registry.policy(host, destination.subset).load_balancer)

    def _mirror_policy(self, destination: Destination, percent: float) -> dict[str, Any]:
        return {
            "cluster": self._cluster(destination),
            "runtime_fraction": {"default_value": fractional_percent(percent)},
            "trace_sampled": False,
            # Istio's default since 1.28: a mirrored request keeps the Host of the original.
            "disable_shadow_host_suffix_append": True,
        }


def default_route(cluster: str, policy: TrafficPolicy) -> dict[str, Any]:
    """Return the route to a Service without a VirtualService."""
    hash_policies = hash_policy(policy.load_balancer)
    return {
        "name": "default",
        "match": route_match(None),
        "route": {
            "cluster": cluster,
            "timeout": duration(timedelta()),
            "retry_policy": retry_policy(None, hashed=False),
            **({"hash_policy": hash_policies} if hash_policies else {}),
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
