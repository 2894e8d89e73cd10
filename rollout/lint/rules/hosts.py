"""Hosts: whether a Service answers to each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ...manifests.hosts import ServiceName, expand_host, half_qualified, service_of
from ..findings import Severity
from ..inventory import Inventory
from ..rule import Problem, Rule
from ..subjects import Subject
from .targets import targets


@dataclass(frozen=True, slots=True)
class _Named:
    """A host that a manifest sends to or is about."""

    subject: Subject
    path: str
    written: str
    full: str


def _named(inventory: Inventory) -> Iterator[_Named]:
    for target in targets(inventory):
        path = target.destination.at("host")
        yield _Named(target.subject, path, target.destination.host, target.host)
    for subject, rule in inventory.destination_rules():
        written = rule.spec.host
        if "*" not in written:
            full = expand_host(written, rule.namespace)
            yield _Named(subject, rule.spec.at("host"), written, full)
    for subject, service in inventory.virtual_services():
        for index, written in enumerate(service.spec.hosts):
            full = expand_host(written, service.namespace)
            # A public name is anybody's; the cluster's own have to exist.
            if service_of(full) is not None:
                yield _Named(subject, service.spec.at("hosts", index), written, full)


def _meant(inventory: Inventory, named: _Named) -> ServiceName | None:
    """Return the Service that a host with too few dots was meant for."""
    meant = half_qualified(named.full)
    if meant and (named.full.endswith(".svc") or inventory.service(meant)):
        return meant
    return None


def _is_known(inventory: Inventory, full: str) -> bool:
    name = service_of(full)
    return full in inventory.foreign_hosts or (
        name is not None and inventory.service(name) is not None
    )


def without_service(inventory: Inventory) -> Iterator[Problem]:
    for named in _named(inventory):
        name = service_of(named.full)
        if (
            name is not None
            and not _is_known(inventory, named.full)
            and inventory.describes_services(name.namespace)
        ):
            yield Problem(
                named.subject,
                named.path,
                f'no Service provides "{named.written}" ({named.full})',
                f"add Service {name.name} to namespace {name.namespace}, or mend the name",
            )


def not_in_input(inventory: Inventory) -> Iterator[Problem]:
    told: set[tuple[Subject, str]] = set()
    for named in _named(inventory):
        name = service_of(named.full)
        if _is_known(inventory, named.full) or _meant(inventory, named):
            continue
        # Nothing is wrong yet: once an object is enough.
        if (named.subject, named.full) in told:
            continue
        told.add((named.subject, named.full))
        if name is None:
            yield Problem(
                named.subject,
                named.path,
                f'"{named.written}" is outside the cluster, and nothing given makes it known',
                "reach it by a Service of type ExternalName",
            )
        elif not inventory.describes_services(name.namespace):
            yield Problem(
                named.subject,
                named.path,
                f'whether "{named.written}" exists can\'t be told:'
                f" no Service of namespace {name.namespace} is given",
                "name what defines it with --with",
            )


def half_qualified_host(inventory: Inventory) -> Iterator[Problem]:
    for named in _named(inventory):
        if meant := _meant(inventory, named):
            yield Problem(
                named.subject,
                named.path,
                f'Istio completes no host with a dot: nothing is called "{named.written}"',
                f"write {meant.host}",
            )


RULES: Final = (
    Rule(
        "host-without-service",
        Severity.ERROR,
        "a Service provides every host of a namespace whose Services are given",
        without_service,
    ),
    Rule(
        "host-not-in-input",
        Severity.WARNING,
        "every host can be looked up in what is given",
        not_in_input,
    ),
    Rule(
        "host-half-qualified",
        Severity.ERROR,
        "hosts are short or full: Istio does not complete name.namespace",
        half_qualified_host,
    ),
)
