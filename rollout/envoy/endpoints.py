"""The endpoints of a cluster: pods that the Service selects and that have the subset's labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..manifests.kubernetes import Service, ServicePort, Workload
from .configuration import Address, LocalAddresses, Objects, PodPort
from .protobuf_json import LOAD_ASSIGNMENT, socket_address, typed


def load_assignment(
    cluster: str,
    service: Service,
    port: ServicePort,
    labels: Mapping[str, str],
    objects: Objects,
    local: LocalAddresses,
) -> dict[str, Any]:
    """Return the endpoints of a cluster; there are none if no pod has all the labels."""
    addresses = [
        address
        for workload, number in _selected(service, port, labels, objects)
        for address in local.pods.get(PodPort(workload.namespace, workload.name, number), ())
    ]
    return typed(
        LOAD_ASSIGNMENT,
        cluster_name=cluster,
        endpoints=[{"lb_endpoints": [_endpoint(each) for each in addresses]}] if addresses else [],
    )


def _selected(
    service: Service, port: ServicePort, labels: Mapping[str, str], objects: Objects
) -> Iterator[tuple[Workload, int]]:
    """Yield each selected workload with the container port that is the Service's target port."""
    if not service.selector:
        # Without a selector, Kubernetes creates no endpoints.
        return
    for workload in objects.workloads:
        if (
            workload.namespace == service.namespace
            and workload.has_labels(service.selector)
            and workload.has_labels(labels)
        ):
            if isinstance(port.target, int):
                yield workload, port.target
            elif (number := _port_named(workload, port.target)) is not None:
                yield workload, number


def _port_named(workload: Workload, name: str) -> int | None:
    return next((number for number, each in workload.ports.items() if each == name), None)


def _endpoint(address: Address) -> dict[str, Any]:
    return {"endpoint": {"address": socket_address(address)}}
