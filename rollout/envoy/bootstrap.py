"""What Envoy starts with: its admin listener, and where its resources are to be found."""

from __future__ import annotations

from typing import Any, Final

from .configuration import Address, Resource
from .endpoints import socket_address

LISTENERS_FILE: Final = "lds.json"
CLUSTERS_FILE: Final = "cds.json"


def bootstrap(admin: Address, directory: str) -> Resource:
    """Return the document to start Envoy with; ``directory`` has what ``discovery`` names.

    The files have to be there when Envoy starts.
    """
    return {
        **node(admin),
        "dynamic_resources": {
            "cds_config": config_source(directory, CLUSTERS_FILE),
            "lds_config": config_source(directory, LISTENERS_FILE),
        },
    }


def node(admin: Address) -> dict[str, Any]:
    """Return what is the same however the resources come."""
    return {
        "node": {"id": "rehearsal", "cluster": "rehearsal"},
        "admin": {"address": socket_address(admin)},
        "layered_runtime": {
            "layers": [
                {
                    "name": "istio",
                    # As in Istio's proxies; Envoy itself refuses patterns of more than 100 steps.
                    "static_layer": {"re2.max_program_size.error_level": 32768},
                }
            ]
        },
    }


def config_source(directory: str, file: str) -> dict[str, Any]:
    """Return where a kind of resource is found; Envoy reads it anew when a file is moved there."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": f"{directory}/{file}",
            "watched_directory": {"path": directory},
        },
    }
