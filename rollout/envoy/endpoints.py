"""Which pods a cluster has: those of the Service that carry the subset's labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..manifests.kubernetes import Service, ServicePort, Workload
from .configuration import Address, Objects, Placement, PodPort
from .protobuf import LOAD_ASSIGNMENT, typed


def load_assignment(
    cluster: str,
    service: Service,
    port: ServicePort,
    labels: Mapping[str, str],
    objects: Objects,
    placement: Placement,
) -> dict[str, Any]:
    """Return a cluster's endpoints, none of them where a label is misspelt, as in the mesh."""
    addresses = [
        address
        for workload, number in _pods(service, port, labels, objects)
        for address in placement.pods.get(PodPort(workload.namespace, workload.name, number), ())
    ]
    return typed(
        LOAD_ASSIGNMENT,
        cluster_name=cluster,
        endpoints=[{"lb_endpoints": [_endpoint(each) for each in addresses]}] if addresses else [],
    )


def socket_address(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _pods(
    service: Service, port: ServicePort, labels: Mapping[str, str], objects: Objects
) -> Iterator[tuple[Workload, int]]:
    """Yield whose pods they are, with the container's port that the Service's leads to."""
    if not service.selector:
        # Somebody else writes its endpoints.
        return
    for workload in objects.workloads:
        if (
            workload.namespace == service.namespace
            and workload.has_labels(service.selector)
            and workload.has_labels(labels)
        ):
            if isinstance(port.target, int):
                yield workload, port.target
            elif (number := _named(workload, port.target)) is not None:
                yield workload, number


def _named(workload: Workload, name: str) -> int | None:
    return next((number for number, said in workload.ports.items() if said == name), None)


def _endpoint(address: Address) -> dict[str, Any]:
    return {"endpoint": {"address": socket_address(address)}}
