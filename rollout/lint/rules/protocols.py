"""Rules for protocols: what a port's name declares must be what routes and Services need. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.destinations import Destination
from ...manifests.hosts import expand_host, service_of
from ...manifests.kubernetes import Service, ServicePort, Workload
from ...manifests.port_protocol import ROUTED_AS_HTTP, declared_protocol
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext
from ..findings import Severity
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule
from ..traffic_paths import places_of


def http_routes_on_tcp(context: LintContext) -> Iterator[Problem]:
    for resource, virtual_service in context.virtual_services():
        if MESH not in virtual_service.gateways or not virtual_service.spec.http:
            continue
        for index, host in enumerate(virtual_service.spec.hosts):
            name = service_of(expand_host(host, virtual_service.namespace))
            service = None if name is None else context.service(name)
            if service is None or not service.ports:
                continue
            closed = [it for it in service.ports if declared_protocol(it) not in ROUTED_AS_HTTP]
            if len(closed) == len(service.ports):
                path = virtual_service.spec.json_path("hosts", index)
                yield _no_http(resource, path, service, closed)
            else:
                yield from _single_ports(resource, virtual_service, service, closed)


def _single_ports(
    resource: Resource, virtual_service: VirtualService, service: Service, closed: list[ServicePort]
) -> Iterator[Problem]:
    """Yield the routes that are meant for one of several ports, where HTTP is not read."""
    numbers = {port.number: port for port in closed}
    for route in virtual_service.spec.http:
        if MESH not in places_of(route, virtual_service):
            continue
        for match in route.match:
            if match.port in numbers:
                path = match.json_path("port")
                yield _no_http(resource, path, service, [numbers[match.port]])


def _no_http(resource: Resource, path: str, service: Service, ports: list[ServicePort]) -> Problem:
    named = ", ".join(f"{port.number} ({declared_protocol(port).upper()})" for port in ports)
    return Problem(
        resource,
        path,
        f"inside the mesh no HTTP route or weight applies to port {named} of Service"
        f" {service.name}: its name or appProtocol declares another protocol, so sidecars forward"
        " connections to all pods",
        "declare appProtocol: http (http2, grpc) at the Service's port, or use routes under tcp",
    )


def services_disagree(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.in_cluster)
    reported: set[tuple[Resource, str]] = set()
    for _, workload in index.workloads:
        seen: dict[int, tuple[Service, ServicePort]] = {}
        services = sorted(
            index.services(workload), key=lambda it: (context.is_checked(it[0]), it[1].name)
        )
        for resource, service in services:
            for at, port in enumerate(service.ports):
                target = _target(workload, port)
                if target is None or port.protocol != "TCP":
                    continue
                other, first = seen.setdefault(target, (service, port))
                mine, theirs = declared_protocol(port), declared_protocol(first)
                path = f"spec.ports[{at}]"
                # What Istio detects agrees with anything.
                if mine == theirs or not (mine and theirs) or not context.is_checked(resource):
                    continue
                if (resource, path) in reported:
                    continue
                reported.add((resource, path))
                yield Problem(
                    resource,
                    path,
                    f"the pods of {workload.kind} {workload.name} get port {target} as"
                    f" {mine} from Service {service.name} and as"
                    f" {theirs} from Service {other.name}; their sidecar reads it as"
                    " one of them",
                    "declare the same protocol in both Services",
                )


def _target(workload: Workload, port: ServicePort) -> int | None:
    """Return the container port that a Service port leads to, None if it has no such name."""
    if isinstance(port.target, int):
        return port.target
    return next((it for it, name in workload.ports.items() if name == port.target), None)


_CARRIES_GRPC: Final = frozenset({"grpc", "grpc-web"})


def grpc_timeout(context: LintContext) -> Iterator[Problem]:
    for resource, virtual_service in context.virtual_services():
        for route in virtual_service.spec.http:
            if route.timeout and any(
                _carries_grpc(context, each.destination, virtual_service.namespace)
                for each in route.route
            ):
                yield Problem(
                    resource,
                    route.json_path("timeout"),
                    "a gRPC client's grpc-timeout header can't ask for more than this timeout, and"
                    " it ends streams that are still in use",
                    "leave timeout out for streams, or set the longest deadline of the clients",
                )


def _carries_grpc(context: LintContext, destination: Destination, namespace: str) -> bool:
    name = service_of(expand_host(destination.host, namespace))
    service = None if name is None else context.service(name)
    if service is None:
        return False
    wanted = destination.port
    ports = [it for it in service.ports if wanted is None or it.number == wanted.number]
    return len(ports) == 1 and declared_protocol(ports[0]) in _CARRIES_GRPC


RULES: Final = (
    Rule(
        "http-routes-on-tcp",
        Severity.WARNING,
        "routes under http need a port whose name or appProtocol declares HTTP",
        http_routes_on_tcp,
    ),
    Rule(
        "services-disagree",
        Severity.WARNING,
        "Services with the same pods should declare the same protocol for a port of them",
        services_disagree,
    ),
    Rule(
        "grpc-timeout",
        Severity.INFO,
        "reports timeouts that limit the deadlines of gRPC clients",
        grpc_timeout,
    ),
)
