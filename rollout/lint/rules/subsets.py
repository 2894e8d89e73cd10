"""Rules for subsets and selectors: they must be defined once and select pods. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...manifests.destination_rule import DestinationRule
from ...manifests.hosts import expand_host, service_of
from ..context import LintContext, istio_objects
from ..destinations import RoutedDestination, routed_destinations
from ..findings import Severity
from ..rule import Problem, Rule


def subset_undefined(context: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(context):
        name = routed.destination.subset
        known = context.subsets(routed.host)
        if name and name not in known and not context.has_invalid_destination_rule(routed.host):
            yield Problem(
                routed.resource,
                routed.destination.json_path("subset"),
                f'no DestinationRule of {routed.host} defines the subset "{name}"',
                f"define it, or use one of: {', '.join(known)}"
                if known
                else "add a DestinationRule that defines it, or pass one by --with",
            )


def subset_without_pods(context: LintContext) -> Iterator[Problem]:
    for routed in routed_destinations(context):
        if routed.active and (reason := _why_empty(context, routed)):
            yield Problem(
                routed.resource,
                routed.destination.json_path("subset"),
                f'the subset "{routed.destination.subset}" gets requests but has no pods: {reason}',
                "deploy its pods first, or correct the labels",
            )


def _why_empty(context: LintContext, routed: RoutedDestination) -> str | None:
    """Return why a subset has no pods; None if it has some or if the input can't tell."""
    name = service_of(routed.host)
    service = routed.service(context)
    subset = context.subsets(routed.host).get(routed.destination.subset or "")
    if subset is None or name is None or not context.has_workloads_of(name.namespace):
        return None
    if service is not None and not service.selector:
        return None  # Kubernetes does not select the endpoints of this Service.
    labels = {**(service.selector if service else {}), **subset.labels}
    pods = context.pods(name.namespace, labels)
    if not pods:
        return f"no pod has the labels {_render_labels(labels)}"
    if not any(context.min_replicas(each) for each in pods):
        return ", ".join(f"{each.kind} {each.name}" for each in pods) + " is scaled to 0"
    return None


def _render_labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def subset_twice(context: LintContext) -> Iterator[Problem]:
    for resource, rule in context.destination_rules():
        seen: set[str] = set()
        for subset in rule.spec.subsets:
            if subset.name in seen:
                yield Problem(
                    resource,
                    subset.json_path("name"),
                    f'the subset "{subset.name}" is defined twice; Istio uses the first definition',
                    "keep one of the two",
                )
            seen.add(subset.name)


def destination_rules_overlap(context: LintContext) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for resource, rule in istio_objects(context.oldest_first, DestinationRule):
        key = (rule.namespace, expand_host(rule.spec.host, rule.namespace))
        if key in seen and context.is_checked(resource):
            yield Problem(
                resource,
                rule.spec.json_path("host"),
                f"DestinationRule {seen[key]} has the same host, and Istio uses the trafficPolicy"
                " of only one of them",
                "write one DestinationRule per host",
            )
        seen.setdefault(key, rule.name)


def selector_without_pods(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.services():
        if (
            service.selector
            and context.has_workloads_of(service.namespace)
            and not context.pods(service.namespace, service.selector)
        ):
            yield Problem(
                resource,
                "spec.selector",
                f"no pod of namespace {service.namespace} has the labels"
                f" {_render_labels(service.selector)}",
                "correct the selector or the labels of the pods",
            )


RULES: Final = (
    Rule(
        "subset-undefined",
        Severity.ERROR,
        "a DestinationRule must define the subset of every destination",
        subset_undefined,
    ),
    Rule(
        "subset-without-pods",
        Severity.ERROR,
        "a subset that gets requests must have pods",
        subset_without_pods,
    ),
    Rule("subset-twice", Severity.ERROR, "a subset must not be defined twice", subset_twice),
    Rule(
        "destination-rules-overlap",
        Severity.WARNING,
        "a host should have only one DestinationRule",
        destination_rules_overlap,
    ),
    Rule(
        "selector-without-pods",
        Severity.ERROR,
        "a Service must select pods, if the input has any workload of its namespace",
        selector_without_pods,
    ),
)
