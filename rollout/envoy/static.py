"""The same resources, written for ``envoy --mode validate``: that reads no dynamic files."""

from __future__ import annotations

from typing import Any

from .bootstrap import node
from .configuration import Address, Configuration, Resource
from .connection_manager import with_routes


def as_static(configuration: Configuration, admin: Address) -> Resource:
    """Return a document in which Envoy finds every mistake, routes to no cluster too."""
    routes = {each["name"]: each for each in configuration.route_configurations}
    return {
        **node(admin),
        "static_resources": {
            "clusters": [
                _with_pods(each, configuration.load_assignments[each["name"]])
                for each in configuration.clusters
            ],
            "listeners": [
                with_routes(_untyped(each), lambda name: {"route_config": _checked(routes[name])})
                for each in configuration.listeners
            ],
        },
    }


def _checked(routes: Resource) -> dict[str, Any]:
    return {**_untyped(routes), "validate_clusters": True}


def _with_pods(cluster: Resource, assignment: Resource) -> dict[str, Any]:
    fields = {name: each for name, each in cluster.items() if name != "eds_cluster_config"}
    return {**_untyped(fields), "type": "STATIC", "load_assignment": _untyped(assignment)}


def _untyped(resource: Resource) -> dict[str, Any]:
    """Leave out the type, which goes without saying where only one can stand."""
    return {name: each for name, each in resource.items() if name != "@type"}
