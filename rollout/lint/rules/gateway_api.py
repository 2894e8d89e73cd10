"""Rules for the Gateway API: parents, backends and the grants to refer to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import ServiceName
from ..context import LintContext
from ..findings import Severity
from ..gateway_api import (
    GATEWAY_API_GROUP,
    ApiRoute,
    Grants,
    Listener,
    Reference,
    api_routes,
    is_api_gateway,
    listeners,
)
from ..object_index import ObjectIndex
from ..resource import Resource
from ..rule import Problem, Rule


def backend_undefined(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for route in api_routes(context.checked):
        for backend in route.backends:
            to = backend.reference
            if not to.is_service:
                continue
            service = context.service(ServiceName(to.namespace, to.name))
            if service is None and context.has_services_of(to.namespace):
                yield Problem(
                    route.resource,
                    f"{backend.path}.name",
                    f"there is no Service {to.namespace}/{to.name}"
                    f"{known.hint('', 'Service', to.name)}: requests of this rule get 500",
                    "add it, or correct the name or the namespace",
                )
            elif service is not None and service.ports and to.port is None:
                yield Problem(
                    route.resource,
                    backend.path,
                    "a reference to a Service needs a port; without it requests get 500",
                    f"add port: {service.ports[0].number}",
                )
            elif service is not None and service.ports and not service.port(to.port or 0):
                ports = ", ".join(str(each.number) for each in service.ports)
                yield Problem(
                    route.resource,
                    f"{backend.path}.port",
                    f"Service {to.namespace}/{to.name} has no port {to.port}: requests of this rule"
                    " get 500",
                    f"use one of its ports: {ports}",
                )


def reference_not_granted(context: LintContext) -> Iterator[Problem]:
    grants = Grants(context.everything)
    for route in api_routes(context.checked):
        for backend in route.backends:
            if not grants.allow(route.resource, backend.reference):
                what = "requests of this rule get 500"
                yield _not_granted(route.resource, backend.reference, what)
    for resource in context.checked:
        if is_api_gateway(resource):
            for listener in listeners(resource):
                for certificate in listener.certificates:
                    if not grants.allow(resource, certificate):
                        what = "the listener has no certificate and accepts no connection"
                        yield _not_granted(resource, certificate, what)


def _not_granted(owner: Resource, to: Reference, harm: str) -> Problem:
    return Problem(
        owner,
        f"{to.path}.namespace",
        f"no ReferenceGrant in namespace {to.namespace} lets {owner.kind}s of {owner.namespace}"
        f" refer to {to.kind} {to.name}: {harm}",
        f"add a ReferenceGrant to namespace {to.namespace}",
    )


def parent_undefined(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for route in api_routes(context.checked):
        if not route.parents:
            yield Problem(
                route.resource,
                "spec.parentRefs",
                "the route has no parent, so it applies nowhere",
                "name a Gateway, or a Service for callers in the mesh",
            )
        for parent in route.parents:
            if (parent.group, parent.kind) == (GATEWAY_API_GROUP, "Service"):
                yield Problem(
                    route.resource,
                    parent.path,
                    f"there is no Service of {GATEWAY_API_GROUP}, which is the group of a parent"
                    " without group: the route applies nowhere",
                    'add group: ""',
                )
            if not (parent.is_gateway or parent.is_service):
                continue
            group = GATEWAY_API_GROUP if parent.is_gateway else ""
            if known.is_missing(group, parent.kind, parent.namespace, parent.name):
                yield Problem(
                    route.resource,
                    f"{parent.path}.name",
                    f"there is no {parent.kind} {parent.namespace}/{parent.name}"
                    f"{known.hint(group, parent.kind, parent.name)}: the route applies nowhere",
                    "add it, or correct the name or the namespace",
                )


def parent_refuses(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for route in api_routes(context.checked):
        for parent in route.parents:
            gateway = known.find(GATEWAY_API_GROUP, "Gateway", parent.namespace, parent.name)
            if (
                parent.is_gateway
                and gateway is not None
                and (why := _refusal(route, parent, gateway))
            ):
                yield Problem(
                    route.resource,
                    parent.path,
                    f"no listener of Gateway {parent.namespace}/{parent.name} takes the route:"
                    f" {why}; requests get 404",
                    "correct the reference, or the listener",
                )


def _refusal(route: ApiRoute, parent: Reference, gateway: Resource) -> str | None:
    """Return why no listener takes the route, None if one does."""
    every = list(listeners(gateway))
    named = [
        it for it in every if parent.section in {None, it.name} and parent.port in {None, it.port}
    ]
    if not named:
        wanted = f'is named "{parent.section}"' if parent.section else f"has port {parent.port}"
        return f"none {wanted} ({', '.join(f'{it.name}: {it.port}' for it in every)})"
    namespace = route.resource.namespace
    allowed = [it for it in named if _admits(it, namespace, gateway.namespace)]
    if not allowed:
        return f"allowedRoutes admits no routes of namespace {namespace}"
    if not any(it.accepts_host(route.hostnames) for it in allowed):
        accepted = ", ".join(dict.fromkeys(it.hostname or "*" for it in allowed))
        return f"its hosts are {accepted}, those of the route {', '.join(route.hostnames)}"
    return None


def _admits(listener: Listener, namespace: str, own: str) -> bool:
    # The labels of namespaces, which a selector needs, are rarely among the manifests.
    return listener.routes_from != "Same" or namespace == own


RULES: Final = (
    Rule(
        "backend-undefined",
        Severity.ERROR,
        "a route of the Gateway API must lead to a port of a Service that exists",
        backend_undefined,
    ),
    Rule(
        "reference-not-granted",
        Severity.ERROR,
        "a reference to another namespace must be allowed by a ReferenceGrant there",
        reference_not_granted,
    ),
    Rule(
        "parent-undefined",
        Severity.ERROR,
        "the parents of a route of the Gateway API must exist, if the input has others",
        parent_undefined,
    ),
    Rule(
        "parent-refuses",
        Severity.ERROR,
        "a listener of the Gateway must take the route",
        parent_refuses,
    ),
)
