"""Rules for plans: a step uses only what exists, and removes only what is unused. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host, service_of
from ...manifests.virtual_service import VirtualService
from ..context import LintContext, istio_objects
from ..destinations import RoutedDestination, destinations_of, routed_destinations
from ..findings import Severity
from ..resource import Resource
from ..rule import Problem, Rule

_UNTIL_KNOWN: Final = "until every proxy has the change, requests get 503"


def used_before_made(before: LintContext, after: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(after):
        for field, name in sorted(_missing(before, routed) - _missing(after, routed)):
            if routed.active:
                yield Problem(
                    routed.resource,
                    routed.destination.json_path(field),
                    f"this step creates {name} and already routes to it: {_UNTIL_KNOWN}",
                    "create it in an earlier step, and wait until its pods are ready",
                )


def removed_while_used(before: LintContext, after: LintContext) -> Iterator[Problem]:
    reported: set[tuple[Resource, str]] = set()
    for resource, service in istio_objects(before.in_cluster, VirtualService):
        for routed in destinations_of(resource, service):
            for _, name in sorted(_missing(after, routed) - _missing(before, routed)):
                rule = _destination_rule(after, routed)
                if routed.active and rule and (rule, name) not in reported:
                    reported.add((rule, name))
                    yield Problem(
                        rule,
                        "spec.subsets",
                        f"this step removes {name}, but VirtualService {service.name} routes to it"
                        f" ({routed.destination.json_path()} in the step before): {_UNTIL_KNOWN}",
                        "route no requests to it in an earlier step",
                    )


def _destination_rule(after: LintContext, routed: RoutedDestination) -> Resource | None:
    """Return the DestinationRule of the step for the host, which removes the subset."""
    for resource, rule in after.destination_rules():
        if expand_host(rule.spec.host, rule.namespace) == routed.host:
            return resource
    return None


def _missing(context: LintContext, routed: RoutedDestination) -> frozenset[tuple[str, str]]:
    """Return what a destination needs and the cluster lacks: its field, and the name to show."""
    missing = set()
    name = service_of(routed.host)
    subset = routed.destination.subset
    if name and not context.service(name):
        missing.add(("host", f"Service {name.name}"))
    if subset and subset not in context.subsets(routed.host):
        missing.add(("subset", f'the subset "{subset}"'))
    return frozenset(missing)


RULES: Final = (
    Rule(
        "used-before-made",
        Severity.ERROR,
        "a step of a plan must route only to Services and subsets that an earlier step created",
        step_check=used_before_made,
    ),
    Rule(
        "removed-while-used",
        Severity.ERROR,
        "a step of a plan must not remove a subset that the step before it routes to",
        step_check=removed_while_used,
    ),
)
