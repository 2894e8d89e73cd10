"""What istiod calls things, and the names we add: of statistics, of listeners, of files."""

from __future__ import annotations

from typing import Final

from ..manifests.hosts import service_of

#: The route configuration and the listener of callers inside the mesh. There is one for all ports:
#: a sidecar has one for each, and tells them apart by the address that was dialled.
MESH_ROUTES: Final = "mesh"
MESH_LISTENER: Final = "mesh"


def cluster_name(host: str, port: int, subset: str | None = None) -> str:
    """Return the name of a cluster, ``outbound|8080|stable|kv.shop.svc.cluster.local``."""
    return f"outbound|{port}|{subset or ''}|{host}"


def stat_name(cluster: str) -> str:
    """Return what a cluster's statistics are called: ``outbound_8080_stable_kv_shop``.

    Without dots: in Envoy's Prometheus output a cluster's name ends at the first one.
    """
    direction, port, subset, host = cluster.split("|")
    service = service_of(host)
    where = host.replace(".", "_") if service is None else f"{service.name}_{service.namespace}"
    return "_".join(filter(None, (direction, port, subset, where)))


def routes_name(port: int) -> str:
    """Return the name of the route configuration of a Gateway's port, ``http.80``."""
    return f"http.{port}"


def listener_name(port: int) -> str:
    """Return the name of a Gateway port's listener, which is its statistics' prefix too."""
    return f"gateway_{port}"


def endpoints_file(cluster: str) -> str:
    """Return the name of the file with a cluster's endpoints."""
    return f"eds-{cluster.replace('|', '_')}.json"


def routes_file(configuration: str) -> str:
    """Return the name of the file with a route configuration."""
    return f"rds-{configuration}.json"
