"""The names of Envoy's resources, as istiod builds them, and of statistics and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..manifests.hosts import service_of

#: The route configuration and the listener for callers inside the mesh: one for all ports. A
#: sidecar has one for each port, because it sees the original destination address.
MESH_ROUTES: Final = "mesh"
MESH_LISTENER: Final = "mesh"


@dataclass(frozen=True, slots=True)
class ClusterName:
    """The parts of a cluster's name, ``outbound|port|subset|host``."""

    port: str
    subset: str
    host: str

    @classmethod
    def parse(cls, name: str) -> ClusterName:
        """Parse a cluster's name; in another form, all of it is the host."""
        parts = name.split("|")
        return cls(*parts[1:]) if len(parts) == 4 else cls("", "", name)


def cluster_name(host: str, port: int, subset: str | None = None) -> str:
    """Return the name of a cluster, ``outbound|8080|stable|kv.shop.svc.cluster.local``."""
    return f"outbound|{port}|{subset or ''}|{host}"


def server_name(host: str, port: int, subset: str | None = None) -> str:
    """Return the name of a cluster in TLS handshakes (SNI), which can't have a ``|``."""
    return f"outbound_.{port}_.{subset or ''}_.{host}"


def stat_name(cluster: str) -> str:
    """Return the name of a cluster in statistics, ``outbound_8080_stable_kv_shop``.

    It has no dots: in Envoy's Prometheus output, the name of a cluster ends at the first dot.
    """
    parts = ClusterName.parse(cluster)
    service = service_of(parts.host)
    host = (
        parts.host.replace(".", "_") if service is None else f"{service.name}_{service.namespace}"
    )
    return "_".join(filter(None, ("outbound", parts.port, parts.subset, host)))


def routes_name(port: int) -> str:
    """Return the name of the route configuration of a Gateway port, ``http.80``."""
    return f"http.{port}"


def secure_routes_name(port: int, port_name: str, gateway: str, namespace: str) -> str:
    """Return the name of an HTTPS server's routes, ``https.443.https.edge.shop``."""
    return f"https.{port}.{port_name}.{gateway}.{namespace}"


def listener_name(port: int) -> str:
    """Return the name of a Gateway port's listener, which is also its prefix in statistics."""
    return f"gateway_{port}"


def endpoints_file(cluster: str) -> str:
    """Return the name of the file with a cluster's endpoints."""
    return f"eds-{cluster.replace('|', '_')}.json"


def routes_file(configuration: str) -> str:
    """Return the name of the file with a route configuration."""
    return f"rds-{configuration}.json"
