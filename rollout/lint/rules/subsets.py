"""Subsets: that they are defined, once, and that pods are in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...manifests.destination_rule import DestinationRule, Subset
from ...manifests.hosts import expand_host, service_of
from ..findings import Severity
from ..inventory import Inventory, models
from ..rule import Problem, Rule
from .targets import Target, targets


def subsets_of(inventory: Inventory, host: str) -> Mapping[str, Subset]:
    """Return a host's subsets by name."""
    return {
        subset.name: subset for _, rule in inventory.rules_for(host) for subset in rule.spec.subsets
    }


def undefined(inventory: Inventory) -> Iterator[Problem]:
    for target in targets(inventory):
        name = target.destination.subset
        known = subsets_of(inventory, target.host)
        if name and name not in known and not inventory.unreadable_rule_for(target.host):
            yield Problem(
                target.subject,
                target.destination.at("subset"),
                f'no DestinationRule of {target.host} defines the subset "{name}"',
                f"define it, or use one of: {', '.join(known)}"
                if known
                else "add a DestinationRule that defines it, or name it with --with",
            )


def without_pods(inventory: Inventory) -> Iterator[Problem]:
    for target in targets(inventory):
        if target.live and (said := _emptiness(inventory, target)):
            yield Problem(
                target.subject,
                target.destination.at("subset"),
                said,
                "deploy its pods first, or mend the labels",
            )


def _emptiness(inventory: Inventory, target: Target) -> str | None:
    """Say why a subset has no pods; None if it has, or if it can't be told."""
    name = service_of(target.host)
    service = target.service(inventory)
    subset = subsets_of(inventory, target.host).get(target.destination.subset or "")
    if subset is None or name is None or not inventory.describes_pods(name.namespace):
        return None
    if service is not None and not service.selector:
        return None  # whose endpoints somebody else writes
    labels = {**(service.selector if service else {}), **subset.labels}
    pods = inventory.pods(name.namespace, labels)
    said = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    if not pods:
        return f'the subset "{subset.name}" is empty: no pod carries {said}'
    if not any(inventory.replicas(each) for each in pods):
        scaled = ", ".join(f"{each.kind} {each.name}" for each in pods)
        return f'the subset "{subset.name}" is empty: {scaled} is scaled to 0'
    return None


def twice(inventory: Inventory) -> Iterator[Problem]:
    for subject, rule in inventory.destination_rules():
        seen: set[str] = set()
        for subset in rule.spec.subsets:
            if subset.name in seen:
                yield Problem(
                    subject,
                    subset.at("name"),
                    f'the subset "{subset.name}" is defined twice: Istio takes the first',
                    "keep one",
                )
            seen.add(subset.name)


def overlapping_rules(inventory: Inventory) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for subject, rule in models(inventory.oldest_first, DestinationRule):
        key = (rule.namespace, expand_host(rule.spec.host, rule.namespace))
        if key in seen and subject in inventory.own:
            yield Problem(
                subject,
                rule.spec.at("host"),
                f"DestinationRule {seen[key]} is for the same host:"
                " of the two, one's trafficPolicy is dropped",
                "write one DestinationRule a host",
            )
        seen.setdefault(key, rule.name)


RULES: Final = (
    Rule(
        "subset-undefined",
        Severity.ERROR,
        "a DestinationRule defines every subset that is routed to",
        undefined,
    ),
    Rule(
        "subset-without-pods",
        Severity.ERROR,
        "some pod is in every subset that gets requests",
        without_pods,
    ),
    Rule("subset-twice", Severity.ERROR, "no subset is defined twice", twice),
    Rule(
        "destination-rules-overlap",
        Severity.WARNING,
        "a host has one DestinationRule",
        overlapping_rules,
    ),
)
