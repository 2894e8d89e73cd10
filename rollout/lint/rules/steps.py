"""Steps of a plan: made before it is used, out of use before it is removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host, service_of
from ...manifests.virtual_service import VirtualService
from ..findings import Severity
from ..inventory import Inventory, models
from ..rule import Problem, Rule
from ..subjects import Subject
from .subsets import subsets_of
from .targets import Target, targets, targets_of


def used_too_early(before: Inventory, after: Inventory) -> Iterator[Problem]:
    for target in targets(after):
        for thing in sorted(_lacking(before, target) - _lacking(after, target)):
            if target.live:
                yield Problem(
                    target.subject,
                    target.destination.at("host" if _is_service(thing) else "subset"),
                    f"{thing} comes with this very step: until every proxy knows it,"
                    " requests get 503",
                    "bring it in a step before, and wait until its pods are ready",
                )


def removed_too_early(before: Inventory, after: Inventory) -> Iterator[Problem]:
    told: set[tuple[Subject, str]] = set()
    for subject, service in models(before.present, VirtualService):
        for target in targets_of(subject, service):
            for thing in sorted(_lacking(after, target) - _lacking(before, target)):
                remover = _rule_of(after, target)
                if target.live and remover and (remover, thing) not in told:
                    told.add((remover, thing))
                    yield Problem(
                        remover,
                        "spec.subsets",
                        f"{thing} goes while VirtualService {service.name} routes to it"
                        f" ({target.destination.at()} in the step before): until every proxy"
                        " knows, requests get 503",
                        "route away from it in a step before",
                    )


def _rule_of(after: Inventory, target: Target) -> Subject | None:
    """Return the step's DestinationRule of a host, which removes what it no longer has."""
    for subject, rule in after.destination_rules():
        if expand_host(rule.spec.host, rule.namespace) == target.host:
            return subject
    return None


def _lacking(inventory: Inventory, target: Target) -> frozenset[str]:
    """Return what of a target is not there."""
    lacking = set()
    name = service_of(target.host)
    subset = target.destination.subset
    if name and not inventory.service(name):
        lacking.add(f"Service {name.name}")
    if subset and subset not in subsets_of(inventory, target.host):
        lacking.add(f'subset "{subset}"')
    return frozenset(lacking)


def _is_service(thing: str) -> bool:
    return thing.startswith("Service ")


RULES: Final = (
    Rule(
        "used-before-made",
        Severity.ERROR,
        "a step of a plan routes to Services and subsets of the steps before it",
        step_check=used_too_early,
    ),
    Rule(
        "removed-while-used",
        Severity.ERROR,
        "a step of a plan removes no subset that the step before it routes to",
        step_check=removed_too_early,
    ),
)
