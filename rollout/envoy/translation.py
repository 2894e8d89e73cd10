"""Translates the applied objects to Envoy's resources, as istiod would send them."""

from __future__ import annotations

from .clusters import cluster_resource, clusters
from .configuration import Configuration, LocalAddresses, Objects
from .endpoints import load_assignment
from .gateway_routes import gateway_routes, has_servers
from .listeners import gateway_listener, mesh_listener
from .mesh_routes import mesh_routes
from .service_registry import ServiceRegistry


def translate(objects: Objects, local: LocalAddresses) -> Configuration:
    """Return Envoy's resources; the same input gives the same resources in the same order.

    A listener is created for each port that a Gateway has and that has a local address. Ports that
    terminate TLS in the mesh are plaintext here.
    """
    registry = ServiceRegistry(objects)
    ports = [each for each in local.listeners if has_servers(each, objects.gateways)]
    listeners = [gateway_listener(port, local.listeners[port]) for port in ports]
    configurations = [gateway_routes(port, objects, registry) for port in ports]
    if local.mesh:
        listeners.append(mesh_listener(local.mesh))
        configurations.append(mesh_routes(objects, registry))
    known = tuple(clusters(registry))
    return Configuration(
        listeners=tuple(listeners),
        route_configurations=tuple(configurations),
        clusters=tuple(
            cluster_resource(each, registry.policy(each.host, each.subset)) for each in known
        ),
        load_assignments={
            each.name: load_assignment(
                each.name, each.service, each.port, each.labels, objects, local
            )
            for each in known
        },
    )
