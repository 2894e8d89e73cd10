"""Rules for Gateways: Gateways and VirtualServices must refer to each other correctly. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host, service_of
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext, istio_objects
from ..findings import Severity
from ..flagger_canary import flagger_canaries
from ..gateway_servers import GatewayServer, gateway_servers, is_istio_gateway
from ..resource import Resource
from ..rule import Problem, Rule


def gateway_unused(context: LintContext) -> Iterator[Problem]:
    used = {
        qualified
        for _, service in istio_objects(context.everything, VirtualService)
        for _, qualified in _references(service)
    }
    for canary in flagger_canaries(context.everything):
        used |= canary.gateways
    for resource, gateway in context.gateways():
        qualified = f"{gateway.namespace}/{gateway.name}"
        if qualified not in used and any(it.needs_routes for it in gateway_servers(resource)):
            yield Problem(
                resource,
                "",
                "no VirtualService uses this Gateway, so it answers every request with 404",
                f"add {qualified} to gateways of a VirtualService",
            )


def _references(service: VirtualService) -> Iterator[tuple[str, str]]:
    """Yield the JSON path and the qualified name of each reference to a Gateway."""
    for index, written in enumerate(service.spec.gateways):
        yield service.spec.json_path("gateways", index), service.qualify(written)
    for route in service.spec.http:
        for match in route.match:
            for index, written in enumerate(match.gateways):
                yield match.json_path("gateways", index), service.qualify(written)


def _unknown_references(context: LintContext) -> Iterator[tuple[Resource, str, str]]:
    for resource, service in context.virtual_services():
        for path, qualified in _references(service):
            if qualified != MESH and not context.has_gateway(qualified):
                yield resource, path, qualified


def gateway_undefined(context: LintContext) -> Iterator[Problem]:
    for resource, path, qualified in _unknown_references(context):
        if context.has_gateways_of(qualified.partition("/")[0]):
            yield Problem(
                resource, path, f"there is no Gateway {qualified}", "add it, or correct the name"
            )


def gateway_not_in_input(context: LintContext) -> Iterator[Problem]:
    for resource, path, qualified in _unknown_references(context):
        namespace = qualified.partition("/")[0]
        if not context.has_gateways_of(namespace):
            yield Problem(
                resource,
                path,
                f"the linter can't check that Gateway {qualified} exists, because the input has no"
                f" Gateway of namespace {namespace}",
                "pass the manifests with the Gateway by --with",
                cause=namespace,
            )


def gateway_host_mismatch(context: LintContext) -> Iterator[Problem]:
    servers: dict[str, list[GatewayServer]] = {}
    for resource in context.everything:
        if is_istio_gateway(resource):
            qualified = f"{resource.namespace}/{resource.name}"
            servers.setdefault(qualified, list(gateway_servers(resource)))
    for resource, service in context.virtual_services():
        for index, written in enumerate(service.spec.gateways):
            found = servers.get(service.qualify(written))
            hosts = service.spec.hosts
            if not found or any(_admits(server, service) for server in found):
                continue
            elsewhere = any(
                server.admits(host, None) for server in found for host in service.spec.hosts
            )
            accepted = ", ".join(host for server in found for host in server.hosts)
            yield Problem(
                resource,
                service.spec.json_path("gateways", index),
                f"Gateway {written} accepts {accepted}, but the hosts of the VirtualService are"
                f" {', '.join(hosts)}"
                + (f" in namespace {service.namespace}" if elsewhere else "")
                + ": no request from that Gateway reaches it",
                f"write the host as {service.namespace}/{hosts[0]} or */{hosts[0]} in the Gateway"
                if elsewhere
                else "name the same host in both",
            )


def _admits(server: GatewayServer, service: VirtualService) -> bool:
    return any(server.admits(host, service.namespace) for host in service.spec.hosts)


def mesh_missing(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        if MESH in service.gateways:
            continue
        for index, written in enumerate(service.spec.hosts):
            if service_of(expand_host(written, service.namespace)):
                yield Problem(
                    resource,
                    service.spec.json_path("hosts", index),
                    f'"{written}" is a Service of the mesh, but the routes apply only at'
                    f" {', '.join(service.gateways)}: callers in the mesh bypass them",
                    "add mesh to gateways, or remove the host",
                )


def mesh_wildcard_host(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        if MESH in service.gateways and "*" in service.spec.hosts:
            yield Problem(
                resource,
                service.spec.json_path("hosts", service.spec.hosts.index("*")),
                "the host * would apply to every request in the mesh, so Istio's webhook"
                " rejects it",
                "name the hosts, or remove mesh from gateways",
            )


RULES: Final = (
    Rule(
        "gateway-unused",
        Severity.WARNING,
        "a VirtualService should use every Gateway",
        gateway_unused,
    ),
    Rule(
        "gateway-undefined",
        Severity.ERROR,
        "every Gateway must exist, if the input has any Gateway of its namespace",
        gateway_undefined,
    ),
    Rule(
        "gateway-not-in-input",
        Severity.WARNING,
        "the input should have every Gateway that a VirtualService uses",
        gateway_not_in_input,
    ),
    Rule(
        "gateway-host-mismatch",
        Severity.ERROR,
        "a VirtualService and its Gateway must have a host in common",
        gateway_host_mismatch,
    ),
    Rule(
        "mesh-missing",
        Severity.WARNING,
        "the routes for a Service of the mesh should apply inside the mesh too",
        mesh_missing,
    ),
    Rule(
        "mesh-wildcard-host",
        Severity.ERROR,
        "a VirtualService for the mesh must not have the host *",
        mesh_wildcard_host,
    ),
)
