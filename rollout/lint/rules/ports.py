"""Rules for ports: routes must lead to ports that exist, and not to administrative ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ...manifests.kubernetes import Service, ServicePort
from ...manifests.virtual_service import MESH
from ..context import LintContext
from ..destinations import RoutedDestination, routed_destinations
from ..findings import Severity
from ..rule import Problem, Rule

#: Istio takes the protocol from the name of a port, up to the first dash.
_PROTOCOLS: Final = frozenset(
    {"http", "http2", "https", "grpc", "tcp", "tls", "mongo", "mysql", "redis", "udp"}
)
_ADMIN: Final = re.compile(
    r"(?:http-|https-|tcp-)?"
    r"(?:admin|management|mgmt|metrics|prometheus|monitoring|probes?|health|debug|pprof)"
)


def port_undefined(context: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(context):
        port = routed.destination.port
        service = routed.service(context)
        if port and service and service.ports and not service.port(port.number):
            yield Problem(
                routed.resource,
                port.json_path("number"),
                f"Service {service.name} has no port {port.number}",
                f"use one of its ports: {_numbers(service)}",
            )


def port_ambiguous(context: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(context):
        service = routed.service(context)
        if routed.destination.port or service is None or len(_tcp_ports(service)) < 2:
            continue
        gateways = [each for each in routed.virtual_service.gateways if each != MESH]
        if not all(_has_ports_of(context, gateway, service) for gateway in gateways):
            yield Problem(
                routed.resource,
                routed.destination.json_path(),
                f"Service {service.name} has the ports {_numbers(service)}, and the destination"
                " names none; a Gateway would use the number of its own port",
                "add port: {number: …}",
            )


def _has_ports_of(context: LintContext, qualified: str, service: Service) -> bool:
    """Return True if the Service has every port that the Gateway listens on."""
    gateway = context.gateway(qualified)
    return gateway is not None and all(
        service.port(server.port.number) for server in gateway.spec.servers
    )


def admin_port_routed(context: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(context):
        service = routed.service(context)
        port = None if service is None else _port_of(routed, service)
        if service is None or port is None:
            continue
        names = {port.name, *_container_port_names(context, service, port)}
        if found := sorted(name for name in names if name and _ADMIN.fullmatch(name)):
            where = routed.destination.port or routed.destination
            yield Problem(
                routed.resource,
                where.json_path("number") if routed.destination.port else where.json_path(),
                f"the route leads to port {port.number} of Service {service.name}, named"
                f' "{found[0]}": callers can reach an administrative port',
                "route to the port that serves requests",
            )


def _port_of(routed: RoutedDestination, service: Service) -> ServicePort | None:
    if routed.destination.port:
        return service.port(routed.destination.port.number)
    return service.ports[0] if len(service.ports) == 1 else None


def _container_port_names(
    context: LintContext, service: Service, port: ServicePort
) -> Iterator[str | None]:
    if isinstance(port.target, str):
        yield port.target
    elif service.selector:
        for workload in context.pods(service.namespace, service.selector):
            yield workload.ports.get(port.target)


def port_protocol_unnamed(context: LintContext) -> Iterator[Problem]:
    if not context.uses_istio:
        return
    for resource, service in context.services():
        for index, port in enumerate(service.ports):
            named = port.name is not None and port.name.partition("-")[0] in _PROTOCOLS
            if port.protocol == "TCP" and not port.app_protocol and not named:
                yield Problem(
                    resource,
                    f"spec.ports[{index}]",
                    f"port {port.number} does not declare its protocol, so Istio guesses it from"
                    " the first bytes; if it guesses TCP, no route applies",
                    "add appProtocol: http (or grpc, tcp, …)",
                )


def _tcp_ports(service: Service) -> list[ServicePort]:
    return [port for port in service.ports if port.protocol == "TCP"]


def _numbers(service: Service) -> str:
    return ", ".join(str(port.number) for port in service.ports)


RULES: Final = (
    Rule(
        "port-undefined",
        Severity.ERROR,
        "the Service must have the port of the destination",
        port_undefined,
    ),
    Rule(
        "port-ambiguous",
        Severity.WARNING,
        "a destination should name the port if its Service has several",
        port_ambiguous,
    ),
    Rule(
        "admin-port-routed",
        Severity.ERROR,
        "no route may lead to a port named admin, metrics, management, debug …",
        admin_port_routed,
    ),
    Rule(
        "port-protocol-unnamed",
        Severity.WARNING,
        "with Istio, every port of a Service should declare its protocol",
        port_protocol_unnamed,
    ),
)
