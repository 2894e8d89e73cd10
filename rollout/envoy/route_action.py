"""Envoy's RouteAction: destinations, weights, timeouts, retries, rewrites, mirrors, hash policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from ..manifests.destinations import Destination, WeightedDestination
from ..manifests.hosts import expand_host
from ..manifests.http_route import HttpRoute, Rewrite
from ..manifests.load_balancing import ConsistentHash
from ..manifests.semantics import has_gateway_semantics
from ..manifests.string_match import quote
from ..manifests.virtual_service import VirtualService
from .configuration import Resource
from .header_mutations import header_mutations
from .load_balancing import hash_policy
from .protobuf_json import duration, fractional_percent
from .resource_names import cluster_name
from .retry_policy import retry_policy
from .route_match import route_match
from .scope import Scope
from .traffic_policies import destination_hash

#: The status for a destination that does not exist; without it Envoy sends 503.
_WITHOUT_CLUSTER: Final = {"cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"}
#: A cluster that never exists: that of a backend which may not be used.
_UNKNOWN: Final = "UnknownService"


class RouteActions:
    """Translates the routes of one VirtualService for one listener port."""

    def __init__(
        self, scope: Scope, service: VirtualService, listener_port: int, *, only_port: bool = False
    ) -> None:
        """``only_port`` is True for sidecars: they look for services at the listener's port."""
        self._scope = scope
        self._namespace = service.namespace
        self._gateway_api = has_gateway_semantics(service)
        self._listener_port = listener_port
        self._only_port = only_port

    def fields(self, route: HttpRoute, matched: Resource) -> dict[str, Any]:
        """Return the fields of an Envoy route: the action and the header mutations.

        ``matched`` is Envoy's match. A single destination gets all requests, whatever its weight.
        Of several destinations, those with weight 0 are omitted. Without a timeout in the route,
        there is none.
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
                **timeouts(route.timeout),
                **(_WITHOUT_CLUSTER if self._gateway_api else {}),
                **self._rewrite(route.rewrite, matched),
                **({"host_rewrite_literal": mutations.authority} if mutations.authority else {}),
                **({"retry_policy": retries} if retries else {}),
                **({"request_mirror_policies": mirrors} if mirrors else {}),
                **({"hash_policy": hash_policies} if hash_policies else {}),
            },
            **mutations.fields,
        }

    def _cluster(self, destination: Destination) -> str:
        """Return the name of a destination's cluster, which may not exist.

        A short host belongs to the namespace. A destination without a port means the service's only
        port; of a service with several ports, the listener's.
        """
        if not destination.host:
            return _UNKNOWN
        host = expand_host(destination.host, self._namespace)
        service = self._scope.services.get(host)
        if service and self._only_port and service.port(self._listener_port) is None:
            service = None
        port = self._listener_port
        if destination.port:
            port = destination.port.number
        elif service and len(service.ports) == 1 and not self._only_port:
            port = service.ports[0].number
        if service and service.external_name:
            host = service.external_name
        return cluster_name(host, port, destination.subset)

    def _weighted_cluster(self, destination: WeightedDestination) -> dict[str, Any]:
        mutations = header_mutations(destination.headers)
        return {
            "name": self._cluster(destination.destination),
            "weight": destination.weight,
            **mutations.fields,
            **({"host_rewrite_literal": mutations.authority} if mutations.authority else {}),
        }

    def _hash_policy(self, destination: Destination) -> list[dict[str, Any]]:
        rule = self._scope.rule(expand_host(destination.host, self._namespace))
        port = destination.port.number if destination.port else None
        return hash_policy(destination_hash(rule, destination.subset, port))

    def _rewrite(self, rewrite: Rewrite | None, matched: Resource) -> dict[str, Any]:
        if self._gateway_api and rewrite and rewrite.uri == "/":
            prefix = quote(matched.get("path_separated_prefix", ""))
            # What is left of the path begins with one slash.
            return {
                "regex_rewrite": {
                    "pattern": {"regex": rf"^{prefix}(/?)(.*)"},
                    "substitution": r"/\2",
                }
            }
        return _rewrite(rewrite)

    def _mirror_policy(self, destination: Destination, percent: float) -> dict[str, Any]:
        return {
            "cluster": self._cluster(destination),
            "runtime_fraction": {"default_value": fractional_percent(percent)},
            "trace_sampled": False,
            # Istio's default since 1.28: a mirrored request keeps the Host of the original.
            "disable_shadow_host_suffix_append": True,
        }


def default_route(cluster: str, consistent_hash: ConsistentHash | None) -> dict[str, Any]:
    """Return the route to a Service without a VirtualService."""
    hash_policies = hash_policy(consistent_hash)
    return {
        "name": "default",
        "match": route_match(None),
        "route": {
            "cluster": cluster,
            **timeouts(None),
            "retry_policy": retry_policy(None, hashed=False),
            **({"hash_policy": hash_policies} if hash_policies else {}),
        },
    }


def timeouts(timeout: timedelta | None) -> dict[str, str]:
    """Return the timeout of a route, and the largest one that ``grpc-timeout`` may ask for."""
    text = duration(timeout or timedelta())
    return {"timeout": text, "max_grpc_timeout": text}


def _rewrite(rewrite: Rewrite | None) -> dict[str, Any]:
    if rewrite and rewrite.uri_regex_rewrite:
        return {
            "regex_rewrite": {
                "pattern": {"regex": rewrite.uri_regex_rewrite.match},
                "substitution": rewrite.uri_regex_rewrite.rewrite,
            }
        }
    return {"prefix_rewrite": rewrite.uri} if rewrite and rewrite.uri else {}
