"""Envoy's bootstrap: with dynamic resources to run, with static resources to validate."""

from __future__ import annotations

from typing import Any, Final

from .configuration import Address, Configuration, Resource
from .listeners import with_routes
from .protobuf_json import socket_address

LISTENERS_FILE: Final = "lds.json"
CLUSTERS_FILE: Final = "cds.json"


def bootstrap(admin: Address, directory: str) -> Resource:
    """Return the bootstrap of an Envoy that reads the files of ``discovery`` in ``directory``.

    The files must exist when Envoy starts.
    """
    return {
        **_node_and_admin(admin),
        "dynamic_resources": {
            "cds_config": config_source(directory, CLUSTERS_FILE),
            "lds_config": config_source(directory, LISTENERS_FILE),
        },
    }


def config_source(directory: str, file: str) -> dict[str, Any]:
    """Return the source of one type of resource; Envoy reads the file again after a rename."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": f"{directory}/{file}",
            "watched_directory": {"path": directory},
        },
    }


def static_bootstrap(configuration: Configuration, admin: Address) -> Resource:
    """Return a bootstrap for ``envoy --mode validate``, which reads no dynamic resources.

    Envoy rejects it if a route names a cluster that does not exist.
    """
    routes = {each["name"]: each for each in configuration.route_configurations}
    return {
        **_node_and_admin(admin),
        "static_resources": {
            "clusters": [
                _static_cluster(each, configuration.load_assignments[each["name"]])
                for each in configuration.clusters
            ],
            "listeners": [
                with_routes(
                    _without_type(each), lambda name: {"route_config": _static_routes(routes[name])}
                )
                for each in configuration.listeners
            ],
        },
    }


def _node_and_admin(admin: Address) -> dict[str, Any]:
    return {
        "node": {"id": "rehearsal", "cluster": "rehearsal"},
        "admin": {"address": socket_address(admin)},
        "layered_runtime": {
            "layers": [
                {
                    "name": "istio",
                    # Istio's value. Envoy's default rejects regexes with a program size over 100.
                    "static_layer": {"re2.max_program_size.error_level": 32768},
                }
            ]
        },
    }


def _static_routes(routes: Resource) -> dict[str, Any]:
    return {**_without_type(routes), "validate_clusters": True}


def _static_cluster(cluster: Resource, assignment: Resource) -> dict[str, Any]:
    fields = {name: each for name, each in cluster.items() if name != "eds_cluster_config"}
    return {**_without_type(fields), "type": "STATIC", "load_assignment": _without_type(assignment)}


def _without_type(resource: Resource) -> dict[str, Any]:
    """Remove ``@type``: a static resource is not wrapped in an Any message."""
    return {name: each for name, each in resource.items() if name != "@type"}
