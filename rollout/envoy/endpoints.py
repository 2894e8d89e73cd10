"""The endpoints of a cluster: pods that the service selects and that have the subset's labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..manifests.kubernetes import Workload
from .configuration import Address, LocalAddresses, Objects, PodPort
from .protobuf_json import LOAD_ASSIGNMENT, socket_address, typed
from .services import MeshPort, MeshService, Resolution
from .upstream_tls import MUTUAL_TLS

#: A port of a workload's pods, or an address that a ServiceEntry lists.
Endpoint = PodPort | Address
#: Of endpoints that accept mutual TLS.
_MUTUAL: Final = {"filter_metadata": {"envoy.transport_socket_match": MUTUAL_TLS}}


def endpoints_of(
    service: MeshService, port: MeshPort, labels: Mapping[str, str], objects: Objects
) -> Iterator[Endpoint]:
    """Yield the endpoints that have all the labels of a subset."""
    for workload in selected_workloads(service, labels, objects):
        if isinstance(port.target, int):
            yield PodPort(workload.namespace, workload.name, port.target)
        elif (number := _port_named(workload, port.target)) is not None:
            yield PodPort(workload.namespace, workload.name, number)
    resolves = service.resolution in {Resolution.DNS, Resolution.DNS_ROUND_ROBIN}
    if resolves and not service.addresses and not service.selector:
        # A name without endpoints is resolved itself.
        yield Address(service.host, _number(port))
    if service.resolution is Resolution.ORIGINAL_ADDRESS:
        return
    for each in service.addresses:
        if each.address and all(each.labels.get(key) == value for key, value in labels.items()):
            yield Address(each.address, each.ports.get(port.name, _number(port)))


def selected_workloads(
    service: MeshService, labels: Mapping[str, str], objects: Objects
) -> Iterator[Workload]:
    """Yield the workloads whose pods are endpoints of a service and have all the labels."""
    if not service.selector:
        # Without a selector, Kubernetes creates no endpoints.
        return
    for workload in objects.workloads:
        if (
            workload.namespace == service.namespace
            and workload.has_labels(service.selector)
            and workload.has_labels(labels)
        ):
            yield workload


def load_assignment(
    cluster: str, endpoints: Iterable[Endpoint], local: LocalAddresses
) -> dict[str, Any]:
    """Return the endpoints of a cluster, with the addresses of the pods that are ready."""
    found = [one for each in endpoints for one in _local(each, local)]
    return typed(
        LOAD_ASSIGNMENT,
        cluster_name=cluster,
        endpoints=[{"lb_endpoints": found}] if found else [],
    )


def _local(endpoint: Endpoint, local: LocalAddresses) -> Iterator[dict[str, Any]]:
    if not isinstance(endpoint, PodPort):
        yield _endpoint(endpoint)
        return
    for address in local.pods.get(endpoint, ()):
        sidecar = local.sidecars.get((endpoint, address))
        if sidecar is None:
            yield _endpoint(address)
        elif sidecar.mode == "DISABLE":
            yield _endpoint(sidecar.address)
        else:
            yield {**_endpoint(sidecar.address), "metadata": _MUTUAL}


def _port_named(workload: Workload, name: str) -> int | None:
    return next((number for number, each in workload.ports.items() if each == name), None)


def _number(port: MeshPort) -> int:
    return port.target if isinstance(port.target, int) else port.number


def _endpoint(address: Address) -> dict[str, Any]:
    return {"endpoint": {"address": socket_address(address)}}
