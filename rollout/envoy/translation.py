"""Istio's objects to Envoy's resources, as istiod would send them."""

from __future__ import annotations

from .clusters import cluster_resource, clusters
from .configuration import Configuration, Objects, Placement
from .endpoints import load_assignment
from .gateway_hosts import gateway_routes, has_servers
from .listeners import gateway_listener, mesh_listener
from .mesh_hosts import mesh_routes
from .registry import Registry


def translate(objects: Objects, placement: Placement) -> Configuration:
    """Return what Envoy is to be told; the same input gives the same resources in one order.

    A Gateway's port without a place in ``placement`` is not listened on, and neither is a place
    for a port that no Gateway has. Ports that terminate TLS in the mesh are plaintext here.
    """
    registry = Registry(objects)
    ports = [each for each in placement.listeners if has_servers(each, objects.gateways)]
    listeners = [gateway_listener(port, placement.listeners[port]) for port in ports]
    configurations = [gateway_routes(port, objects, registry) for port in ports]
    if placement.mesh:
        listeners.append(mesh_listener(placement.mesh))
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
                each.name, each.service, each.port, each.labels, objects, placement
            )
            for each in known
        },
    )
