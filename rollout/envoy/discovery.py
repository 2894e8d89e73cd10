"""The files that Envoy watches: clusters, listeners, and one each for routes and for endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .bootstrap import CLUSTERS_FILE, LISTENERS_FILE, config_source
from .configuration import Configuration, Resource
from .connection_manager import with_routes
from .names import endpoints_file, routes_file
from .protobuf import CLUSTER, LISTENER, LOAD_ASSIGNMENT, ROUTE_CONFIGURATION, type_url


def discovery(configuration: Configuration, version: str, directory: str) -> Mapping[str, Resource]:
    """Return the documents by file name, those of endpoints first, that of listeners last.

    Written in this order, nothing is named before it is there. ``directory`` is the path under
    which Envoy finds the files, the one given to ``bootstrap``. Each file says all there is of its
    kind: what it leaves out, Envoy forgets. Envoy heeds renames alone, so a text is to be written
    elsewhere in the same filesystem and moved into place.
    """
    return {
        **{
            endpoints_file(cluster): _response(version, LOAD_ASSIGNMENT, [assignment])
            for cluster, assignment in configuration.load_assignments.items()
        },
        CLUSTERS_FILE: _response(
            version, CLUSTER, (_with_endpoints(each, directory) for each in configuration.clusters)
        ),
        # Of routes as of endpoints, Envoy takes one resource in a file and refuses two.
        **{
            routes_file(each["name"]): _response(version, ROUTE_CONFIGURATION, [each])
            for each in configuration.route_configurations
        },
        LISTENERS_FILE: _response(
            version,
            LISTENER,
            (
                with_routes(each, lambda name: {"rds": _found(name, directory)})
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


def _with_endpoints(cluster: Resource, directory: str) -> dict[str, Any]:
    source = config_source(directory, endpoints_file(cluster["name"]))
    return {
        **cluster,
        "eds_cluster_config": {**cluster["eds_cluster_config"], "eds_config": source},
    }


def _found(routes: str, directory: str) -> dict[str, Any]:
    source = config_source(directory, routes_file(routes))
    return {"route_config_name": routes, "config_source": source}
