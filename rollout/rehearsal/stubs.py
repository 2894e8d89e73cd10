"""Which services a rehearsal replaces by stubs, which return the requests that they get. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..envoy.configuration import Objects, PodPort
from ..envoy.endpoints import selected_workloads
from ..envoy.local_configuration import is_elsewhere
from ..envoy.services import mesh_services
from ..manifests.hosts import expand_host
from ..manifests.kubernetes import Workload
from ..manifests.virtual_service import VirtualService

#: In place of a command: the kubelet starts stub_service.py.
STUB: Final = ("stub",)
#: The port of the stub that answers for services whose pods are not among the manifests.
ELSEWHERE: Final = PodPort("", "elsewhere", 80)


def destination_hosts(routes: Iterable[VirtualService]) -> frozenset[str]:
    """Return the full hosts to which the routes send or mirror requests."""
    return frozenset(
        expand_host(each.host, service.namespace)
        for service in routes
        for route in service.spec.http
        for each in (
            *(weighted.destination for weighted in route.route),
            *(mirror for mirror, _ in route.mirror_destinations),
        )
    )


def reached_workloads(objects: Objects, hosts: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Return namespace and name of the workloads behind these hosts."""
    return frozenset(
        (workload.namespace, workload.name)
        for service in mesh_services(objects)
        if service.host in hosts
        for workload in selected_workloads(service, {}, objects)
    )


def hosts_elsewhere(objects: Objects, hosts: frozenset[str]) -> tuple[str, ...]:
    """Return those of the hosts whose pods are not among the manifests, sorted."""
    found = {each.host for each in mesh_services(objects) if is_elsewhere(each, objects)}
    return tuple(sorted(found & hosts))


def service_ports(workload: Workload, objects: Objects) -> tuple[int, ...]:
    """Return the numbered ports of a workload's pods to which Services send requests."""
    numbers = [
        port.target
        for service in mesh_services(objects)
        if workload in selected_workloads(service, {}, objects)
        for port in service.ports
        if isinstance(port.target, int)
    ]
    return tuple(dict.fromkeys(numbers))


def stub_environ(**identity: Any) -> Mapping[str, str]:
    """Return the variables of a stub with this identity."""
    return {"STUB": json.dumps(identity)}
