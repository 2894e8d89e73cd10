"""Ports: that they exist, are spoken for, and that none of them is the operator's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ...manifests.kubernetes import Service, ServicePort
from ...manifests.virtual_service import MESH
from ..findings import Severity
from ..inventory import Inventory
from ..rule import Problem, Rule
from .targets import Target, targets

#: What Istio reads from a port's name, up to the first dash.
_PROTOCOLS: Final = frozenset(
    {"http", "http2", "https", "grpc", "tcp", "tls", "mongo", "mysql", "redis", "udp"}
)
_ADMIN: Final = re.compile(
    r"(?:http-|https-|tcp-)?"
    r"(?:admin|management|mgmt|metrics|prometheus|monitoring|probes?|health|debug|pprof)"
)


def undefined(inventory: Inventory) -> Iterator[Problem]:
    for target in targets(inventory):
        port = target.destination.port
        service = target.service(inventory)
        if port and service and service.ports and not service.port(port.number):
            yield Problem(
                target.subject,
                port.at("number"),
                f"Service {service.name} has no port {port.number}",
                f"its ports are {_listed(service)}",
            )


def ambiguous(inventory: Inventory) -> Iterator[Problem]:
    for target in targets(inventory):
        service = target.service(inventory)
        if target.destination.port or service is None or len(_tcp(service)) < 2:
            continue
        outside = [gateway for gateway in target.owner.gateways if gateway != MESH]
        if not all(_listens_like(inventory, gateway, service) for gateway in outside):
            yield Problem(
                target.subject,
                target.destination.at(),
                f"Service {service.name} has the ports {_listed(service)},"
                " and a Gateway would take the one that it listens on itself",
                "add port: {number: …}",
            )


def _listens_like(inventory: Inventory, qualified: str, service: Service) -> bool:
    gateway = inventory.gateway(qualified)
    return gateway is not None and all(
        service.port(server.port.number) for server in gateway.spec.servers
    )


def admin(inventory: Inventory) -> Iterator[Problem]:
    for target in targets(inventory):
        service = target.service(inventory)
        port = None if service is None else _port_of(target, service)
        if service is None or port is None:
            continue
        names = {port.name, *_container_names(inventory, service, port)}
        if found := sorted(name for name in names if name and _ADMIN.fullmatch(name)):
            where = target.destination.port or target.destination
            yield Problem(
                target.subject,
                where.at("number") if target.destination.port else where.at(),
                f'port {port.number} of Service {service.name} is "{found[0]}":'
                " callers would reach what is the operator's",
                "route to the port for traffic",
            )


def _port_of(target: Target, service: Service) -> ServicePort | None:
    if target.destination.port:
        return service.port(target.destination.port.number)
    return service.ports[0] if len(service.ports) == 1 else None


def _container_names(
    inventory: Inventory, service: Service, port: ServicePort
) -> Iterator[str | None]:
    if isinstance(port.target, str):
        yield port.target
    elif service.selector:
        for workload in inventory.pods(service.namespace, service.selector):
            yield workload.ports.get(port.target)


def protocol_unnamed(inventory: Inventory) -> Iterator[Problem]:
    if not inventory.meshed:
        return
    for subject, service in inventory.services():
        for index, port in enumerate(service.ports):
            named = port.name is not None and port.name.partition("-")[0] in _PROTOCOLS
            if port.protocol == "TCP" and not port.app_protocol and not named:
                yield Problem(
                    subject,
                    f"spec.ports[{index}]",
                    f"port {port.number} doesn't say its protocol: Istio guesses it from the"
                    " first bytes, and routes nothing that it takes for TCP",
                    "add appProtocol: http (or grpc, tcp, …)",
                )


def _tcp(service: Service) -> list[ServicePort]:
    return [port for port in service.ports if port.protocol == "TCP"]


def _listed(service: Service) -> str:
    return ", ".join(str(port.number) for port in service.ports)


RULES: Final = (
    Rule("port-undefined", Severity.ERROR, "the Service has the port that is routed to", undefined),
    Rule(
        "port-ambiguous",
        Severity.WARNING,
        "a destination with several ports says which",
        ambiguous,
    ),
    Rule(
        "admin-port-routed",
        Severity.ERROR,
        "no route leads to a port named admin, metrics, management, debug …",
        admin,
    ),
    Rule(
        "port-protocol-unnamed",
        Severity.WARNING,
        "in a mesh, every port of a Service says its protocol",
        protocol_unnamed,
    ),
)
