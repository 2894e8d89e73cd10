"""The xDS files that Envoy watches: clusters, listeners, and each set of routes and endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .bootstrap import CLUSTERS_FILE, LISTENERS_FILE, config_source
from .configuration import Configuration, Resource
from .listeners import with_routes
from .protobuf_json import CLUSTER, LISTENER, LOAD_ASSIGNMENT, ROUTE_CONFIGURATION, type_url
from .resource_names import endpoints_file, routes_file


def discovery(configuration: Configuration, version: str, directory: str) -> Mapping[str, Resource]:
    """Return the discovery responses by file name, in the order in which to write them.

    Endpoints come first and listeners last, so that a resource exists before another names it.
    ``directory`` is the path of the files, the one given to ``bootstrap``. Each file has all
    resources of its type: Envoy removes those that it leaves out. Envoy reacts to renames only:
    write each file elsewhere on the same filesystem and rename it.
    """
    return {
        **{
            endpoints_file(cluster): _response(version, LOAD_ASSIGNMENT, [assignment])
            for cluster, assignment in configuration.load_assignments.items()
        },
        CLUSTERS_FILE: _response(
            version,
            CLUSTER,
            (_with_eds_config(each, directory) for each in configuration.clusters),
        ),
        # In a file of routes or of endpoints, Envoy accepts exactly one resource.
        **{
            routes_file(each["name"]): _response(version, ROUTE_CONFIGURATION, [each])
            for each in configuration.route_configurations
        },
        LISTENERS_FILE: _response(
            version,
            LISTENER,
            (
                with_routes(each, lambda name: {"rds": _rds(name, directory)})
                for each in configuration.listeners
            ),
        ),
    }


def _response(version: str, message: str, resources: Iterable[Resource]) -> dict[str, Any]:
    return {
        "version_info": version,
        "type_url": type_url(message),
        "resources": [dict(each) for each in resources],
    }


def _with_eds_config(cluster: Resource, directory: str) -> dict[str, Any]:
    source = config_source(directory, endpoints_file(cluster["name"]))
    return {
        **cluster,
        "eds_cluster_config": {**cluster["eds_cluster_config"], "eds_config": source},
    }


def _rds(routes: str, directory: str) -> dict[str, Any]:
    source = config_source(directory, routes_file(routes))
    return {"route_config_name": routes, "config_source": source}
