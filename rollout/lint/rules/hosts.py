"""Rules for hosts: a Service must provide every host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ...manifests.hosts import ServiceName, expand_host, half_qualified, service_of
from ...manifests.kubernetes import Service
from ..context import LintContext, kubernetes_objects
from ..destinations import routed_destinations
from ..findings import Severity
from ..resource import Resource
from ..rule import Problem, Rule


@dataclass(frozen=True, slots=True)
class _HostReference:
    """A host that a manifest names: as it is written, and its full form."""

    resource: Resource
    path: str
    written: str
    full: str


def _host_references(context: LintContext) -> Iterator[_HostReference]:
    for routed in routed_destinations(context):
        path = routed.destination.json_path("host")
        yield _HostReference(routed.resource, path, routed.destination.host, routed.host)
    for resource, rule in context.destination_rules():
        written = rule.spec.host
        if "*" not in written:
            full = expand_host(written, rule.namespace)
            yield _HostReference(resource, rule.spec.json_path("host"), written, full)
    for resource, service in context.virtual_services():
        for index, written in enumerate(service.spec.hosts):
            full = expand_host(written, service.namespace)
            # Only a host of the cluster needs a Service; a VirtualService may have public hosts.
            if service_of(full) is not None:
                path = service.spec.json_path("hosts", index)
                yield _HostReference(resource, path, written, full)


def _meant(context: LintContext, reference: _HostReference) -> ServiceName | None:
    """Return the Service that a half-qualified host probably means, else None."""
    meant = half_qualified(reference.full)
    if meant and (reference.full.endswith(".svc") or context.service(meant)):
        return meant
    return None


def _is_known(context: LintContext, full: str) -> bool:
    name = service_of(full)
    return context.has_service_entry_of(full) or (
        name is not None and context.service(name) is not None
    )


def _elsewhere(context: LintContext) -> Mapping[str, ServiceName]:
    """Return a Service for each name, to tell whose short name was probably meant."""
    found: dict[str, ServiceName] = {}
    for _, service in kubernetes_objects(context.in_cluster, Service):
        found.setdefault(service.name, ServiceName(service.namespace, service.name))
    return found


def _write(meant: ServiceName | None, reference: _HostReference, otherwise: str) -> str:
    """Return the remedy for a host; a short one may mean a Service of another namespace."""
    if meant is None or "." in reference.written:
        return otherwise
    return (
        f"write {meant.host}: a short host means the namespace of the {reference.resource.kind}"
        f" ({reference.resource.namespace}), and Service {meant.name} is in {meant.namespace}"
    )


def host_without_service(context: LintContext) -> Iterator[Problem]:
    elsewhere = _elsewhere(context)
    for reference in _host_references(context):
        name = service_of(reference.full)
        if (
            name is not None
            and not _is_known(context, reference.full)
            and context.has_services_of(name.namespace)
        ):
            yield Problem(
                reference.resource,
                reference.path,
                f'no Service provides the host "{reference.written}" ({reference.full})',
                _write(
                    elsewhere.get(name.name),
                    reference,
                    f"add Service {name.name} to namespace {name.namespace}, or correct the host",
                ),
            )


def host_not_in_input(context: LintContext) -> Iterator[Problem]:
    elsewhere = _elsewhere(context)
    reported: set[tuple[Resource, str]] = set()
    for reference in _host_references(context):
        name = service_of(reference.full)
        if _is_known(context, reference.full) or _meant(context, reference):
            continue
        # The host may be right, so one report per object is enough.
        if (reference.resource, reference.full) in reported:
            continue
        reported.add((reference.resource, reference.full))
        if name is None:
            yield Problem(
                reference.resource,
                reference.path,
                f'the host "{reference.written}" is outside the cluster, and no object of the'
                " input defines it",
                "add a Service of type ExternalName, and route to that",
            )
        elif not context.has_services_of(name.namespace):
            yield Problem(
                reference.resource,
                reference.path,
                f'the linter can\'t check that "{reference.written}" exists, because the input has'
                f" no Service of namespace {name.namespace}",
                _write(
                    elsewhere.get(name.name),
                    reference,
                    "pass the manifests with the Service by --with",
                ),
                cause=name.namespace,
            )


def host_half_qualified(context: LintContext) -> Iterator[Problem]:
    for reference in _host_references(context):
        if meant := _meant(context, reference):
            yield Problem(
                reference.resource,
                reference.path,
                f'"{reference.written}" names no Service, because Istio does not complete a host'
                " that has a dot",
                f"write {meant.host}",
            )


RULES: Final = (
    Rule(
        "host-without-service",
        Severity.ERROR,
        "a Service must provide every host, if the input has any Service of the host's namespace",
        host_without_service,
    ),
    Rule(
        "host-not-in-input",
        Severity.WARNING,
        "the input should have the Service of every host",
        host_not_in_input,
    ),
    Rule(
        "host-half-qualified",
        Severity.ERROR,
        "a host must be NAME or NAME.NAMESPACE.svc.cluster.local, not NAME.NAMESPACE",
        host_half_qualified,
    ),
)
