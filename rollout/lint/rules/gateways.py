"""Gateways and VirtualServices: that they find each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.gateway import Gateway
from ...manifests.hosts import expand_host, overlap, service_of
from ...manifests.virtual_service import MESH, VirtualService
from ..findings import Severity
from ..inventory import Inventory, models
from ..rule import Problem, Rule
from ..subjects import Subject


def unused(inventory: Inventory) -> Iterator[Problem]:
    referred = {
        gateway
        for _, service in models(inventory.everything, VirtualService)
        for gateway in (
            *service.gateways,
            *(service.qualify(it) for rule in service.spec.http for it in _at_matches(rule.match)),
        )
    }
    for subject, gateway in inventory.gateways():
        if f"{gateway.namespace}/{gateway.name}" not in referred:
            yield Problem(
                subject,
                "",
                "no VirtualService is bound to this Gateway: it answers 404 to everything",
                f"list {gateway.namespace}/{gateway.name} under gateways of a VirtualService",
            )


def _at_matches(matches: tuple[object, ...]) -> Iterator[str]:
    for match in matches:
        yield from getattr(match, "gateways", ())


def _references(service: VirtualService) -> Iterator[tuple[str, str]]:
    """Yield the path and the qualified name of each reference to a Gateway."""
    for index, written in enumerate(service.spec.gateways):
        yield service.spec.at("gateways", index), service.qualify(written)
    for route in service.spec.http:
        for match in route.match:
            for index, written in enumerate(match.gateways):
                yield match.at("gateways", index), service.qualify(written)


def _unknown(inventory: Inventory) -> Iterator[tuple[Subject, str, str]]:
    for subject, service in inventory.virtual_services():
        for path, qualified in _references(service):
            if qualified != MESH and not inventory.has_gateway(qualified):
                yield subject, path, qualified


def undefined(inventory: Inventory) -> Iterator[Problem]:
    for subject, path, qualified in _unknown(inventory):
        if inventory.describes_gateways(qualified.partition("/")[0]):
            yield Problem(
                subject, path, f"there is no Gateway {qualified}", "add it, or mend the name"
            )


def not_in_input(inventory: Inventory) -> Iterator[Problem]:
    for subject, path, qualified in _unknown(inventory):
        namespace = qualified.partition("/")[0]
        if not inventory.describes_gateways(namespace):
            yield Problem(
                subject,
                path,
                f"whether Gateway {qualified} exists can't be told:"
                f" no Gateway of namespace {namespace} is given",
                "name what defines it with --with",
            )


def host_mismatch(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for index, written in enumerate(service.spec.gateways):
            gateway = inventory.gateway(service.qualify(written))
            if gateway is not None and not _serves(gateway, service):
                yield Problem(
                    subject,
                    service.spec.at("gateways", index),
                    f"Gateway {written} listens for {_listed(gateway)}, which is none of"
                    f" {', '.join(service.spec.hosts)}: no request gets here",
                    "name the host on both",
                )


def _serves(gateway: Gateway, service: VirtualService) -> bool:
    return any(
        overlap(domain, expand_host(host, service.namespace)) or overlap(domain, host)
        for server in gateway.spec.servers
        for domain in server.domains
        for host in service.spec.hosts
    )


def _listed(gateway: Gateway) -> str:
    return ", ".join(domain for server in gateway.spec.servers for domain in server.domains)


def mesh_missing(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        if MESH in service.gateways:
            continue
        for index, written in enumerate(service.spec.hosts):
            if service_of(expand_host(written, service.namespace)):
                yield Problem(
                    subject,
                    service.spec.at("hosts", index),
                    f'"{written}" is a Service of the mesh, but the routes hold for'
                    f" {', '.join(service.gateways)} only: callers inside go past them",
                    "add mesh to gateways, or leave the host out",
                )


def mesh_wildcard(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        if MESH in service.gateways and "*" in service.spec.hosts:
            yield Problem(
                subject,
                service.spec.at("hosts", service.spec.hosts.index("*")),
                "inside the mesh * would take every request of every caller:"
                " Istio's webhook refuses that",
                "name the hosts, or leave mesh out of gateways",
            )


RULES: Final = (
    Rule("gateway-unused", Severity.WARNING, "a VirtualService is bound to every Gateway", unused),
    Rule(
        "gateway-undefined",
        Severity.ERROR,
        "every Gateway of a namespace whose Gateways are given exists",
        undefined,
    ),
    Rule(
        "gateway-not-in-input",
        Severity.WARNING,
        "every Gateway can be looked up in what is given",
        not_in_input,
    ),
    Rule(
        "gateway-host-mismatch",
        Severity.ERROR,
        "a VirtualService and its Gateway have a host in common",
        host_mismatch,
    ),
    Rule(
        "mesh-missing",
        Severity.WARNING,
        "the routes of a Service's own host hold inside the mesh too",
        mesh_missing,
    ),
    Rule("mesh-wildcard-host", Severity.ERROR, "inside the mesh no host is *", mesh_wildcard),
)
