"""Outlier detection: that it can ever leave a pod out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.destination_rule import DestinationRule
from ...manifests.hosts import expand_host, service_of
from ...manifests.traffic_policy import OutlierDetection, TrafficPolicy
from ..findings import Severity
from ..inventory import Inventory
from ..rule import Problem, Rule


def never_ejects(inventory: Inventory) -> Iterator[Problem]:
    for subject, rule in inventory.destination_rules():
        for outlier, pools in _detections(rule):
            sizes = {
                name: size
                for name, labels in pools
                # Of a single pod there is nothing to choose from.
                if (size := _size(inventory, rule, labels)) > 1
                and 100 / size > outlier.max_ejection_percent
            }
            if sizes:
                least = max(-(-100 // size) for size in sizes.values())
                said = ", ".join(f"{name} has {size} pods" for name, size in sizes.items())
                yield Problem(
                    subject,
                    outlier.at("maxEjectionPercent"),
                    f"{said}: at most {outlier.max_ejection_percent} % of them may be ejected,"
                    " which is none",
                    f"set maxEjectionPercent to {least} or more",
                )


def _detections(
    rule: DestinationRule,
) -> Iterator[tuple[OutlierDetection, list[tuple[str, dict[str, str]]]]]:
    """Yield each outlierDetection with the pools it is for: a name, and labels."""
    whole = _outlier(rule.spec.traffic_policy)
    inherit: list[tuple[str, dict[str, str]]] = []
    for subset in rule.spec.subsets:
        own = _outlier(subset.traffic_policy)
        pool = (f'"{subset.name}"', subset.labels)
        if own is not None:
            yield own, [pool]
        else:
            inherit.append(pool)
    if whole is not None:
        yield whole, inherit or [(rule.spec.host, {})]


def _outlier(policy: TrafficPolicy | None) -> OutlierDetection | None:
    return None if policy is None else policy.outlier_detection


def _size(inventory: Inventory, rule: DestinationRule, labels: dict[str, str]) -> int:
    """Return how many pods a pool has at least, 0 if it can't be told."""
    name = service_of(expand_host(rule.spec.host, rule.namespace))
    service = None if name is None else inventory.service(name)
    if name is None or service is None or not service.selector:
        return 0
    pods = inventory.pods(name.namespace, {**service.selector, **labels})
    return sum(inventory.replicas(each) for each in pods)


RULES: Final = (
    Rule(
        "ejection-impossible",
        Severity.WARNING,
        "maxEjectionPercent lets at least one of the pods be ejected",
        never_ejects,
    ),
)
