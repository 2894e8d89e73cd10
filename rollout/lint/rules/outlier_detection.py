"""The rule for outlier detection: it must be able to eject at least one pod. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ...manifests.destination_rule import DestinationRule
from ...manifests.hosts import expand_host, service_of
from ...manifests.traffic_policy import OutlierDetection, TrafficPolicy
from ..context import LintContext
from ..findings import Severity
from ..rule import Problem, Rule


class _Pool(NamedTuple):
    """Pods among which Envoy balances the load: those of a subset, or all of a host."""

    name: str
    labels: dict[str, str]


def ejection_impossible(context: LintContext) -> Iterator[Problem]:
    for resource, rule in context.destination_rules():
        for detection, pools in _detections(rule):
            sizes = {
                pool.name: size
                for pool in pools
                # With a single pod, an ejection would leave no pod.
                if (size := _min_pods(context, rule, pool)) > 1
                and 100 / size > detection.max_ejection_percent
            }
            if sizes:
                least = max(-(-100 // size) for size in sizes.values())
                pods = ", ".join(f"{name} has {size} pods" for name, size in sizes.items())
                yield Problem(
                    resource,
                    detection.json_path("maxEjectionPercent"),
                    f"{pods}, and Envoy may eject at most {detection.max_ejection_percent} % of"
                    " them, which is less than one pod: it ejects none",
                    f"set maxEjectionPercent to {least} or more",
                )


def _detections(rule: DestinationRule) -> Iterator[tuple[OutlierDetection, list[_Pool]]]:
    """Yield each outlierDetection with the pools that it applies to."""
    inheriting: list[_Pool] = []
    for subset in rule.spec.subsets:
        pool = _Pool(f'the subset "{subset.name}"', subset.labels)
        if detection := _outlier_detection(subset.traffic_policy):
            yield detection, [pool]
        else:
            inheriting.append(pool)
    if detection := _outlier_detection(rule.spec.traffic_policy):
        yield detection, inheriting or [_Pool(rule.spec.host, {})]


def _outlier_detection(policy: TrafficPolicy | None) -> OutlierDetection | None:
    return None if policy is None else policy.outlier_detection


def _min_pods(context: LintContext, rule: DestinationRule, pool: _Pool) -> int:
    """Return the least number of pods of a pool, 0 if the input can't tell."""
    name = service_of(expand_host(rule.spec.host, rule.namespace))
    service = None if name is None else context.service(name)
    if name is None or service is None or not service.selector:
        return 0
    pods = context.pods(name.namespace, {**service.selector, **pool.labels})
    return sum(context.min_replicas(each) for each in pods)


RULES: Final = (
    Rule(
        "ejection-impossible",
        Severity.WARNING,
        "maxEjectionPercent should allow the ejection of at least one pod",
        ejection_impossible,
    ),
)
