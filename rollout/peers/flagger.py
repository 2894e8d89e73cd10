"""Flagger's Canary: one round of checks in each interval, and a count of the failed ones.

https://docs.flagger.app/usage/how-it-works and https://docs.flagger.app/usage/metrics
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..lint.flagger_canary import FlaggerCanary
from ..lint.resource import Resource
from ..manifests.untyped import list_or_empty, mapping_or_empty
from ..plan.controlled_release import needed
from ..plan.flagger_release import weights_of
from .decision import PROMOTED, ROLLED_BACK, UNDECIDED, Ask, Decision, refused
from .durations import seconds_of

_SHORTEST_INTERVAL: Final = 10.0
_PODS: Final = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}",'
    ' destination_workload=~"{{ target }}"'
)
#: Flagger's own checks with Istio: per cent of requests without 5xx, and milliseconds.
_BUILT_IN: Final = {
    "request-success-rate": (
        f'100 * sum(rate(istio_requests_total{{{_PODS}, response_code!~"5.*"}}'
        f"[{{{{ interval }}}}])) / sum(rate(istio_requests_total{{{_PODS}}}[{{{{ interval }}}}]))"
    ),
    "request-duration": (
        "histogram_quantile(0.99, sum by (le)"
        f" (rate(istio_request_duration_milliseconds_bucket{{{_PODS}}}[{{{{ interval }}}}])))"
    ),
}
_VARIABLE: Final = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    query: str
    least: float
    most: float


async def decide(
    canary: FlaggerCanary, resources: Sequence[Resource], ask: Ask, since: float, until: float
) -> Decision:
    """Return what Flagger decides if the canary gets its first requests at ``since``.

    Raise PlanInvalid for what is not known here.
    """
    analysis = mapping_or_empty(canary.resource.spec.get("analysis"))
    checks = [
        _check(canary, resources, mapping_or_empty(each))
        for each in list_or_empty(analysis.get("metrics"))
    ]
    interval = max(_SHORTEST_INTERVAL, seconds_of(analysis.get("interval"), 60.0))
    threshold = max(1, int(analysis.get("threshold") or 1))
    rounds_left, failed = len(weights_of(canary.resource, analysis)), 0
    now, reason = since + interval, ""
    while now <= until:
        # It looks at the count before it checks: the rollback comes a round after the last failure.
        if failed >= threshold:
            return Decision(ROLLED_BACK, now, f"{failed} failed checks, the last: {reason}")
        failure = await _failure(checks, ask, now)
        if failure:
            failed, reason = failed + 1, failure
        else:
            rounds_left -= 1
            if not rounds_left:
                return Decision(PROMOTED, now)
        now += interval
    return Decision(UNDECIDED, until, f"{failed} of {threshold} failed checks")


async def _failure(checks: Sequence[_Check], ask: Ask, now: float) -> str:
    """Return the first check that fails, empty if all pass. No value is a failure."""
    for each in checks:
        values = await ask(each.query, now)
        if not values or math.isnan(values[0]):
            return f"{each.name} has no value"
        if not each.least <= values[0] <= each.most:
            return f"{each.name} is {values[0]:.4g}"
    return ""


def _check(
    canary: FlaggerCanary, resources: Sequence[Resource], metric: Mapping[str, Any]
) -> _Check:
    name = str(metric.get("name"))
    if reference := mapping_or_empty(metric.get("templateRef")):
        template = needed(
            resources,
            canary.resource,
            "MetricTemplate",
            str(reference.get("name")),
            str(reference.get("namespace") or ""),
        )
        provider = mapping_or_empty(template.spec.get("provider"))
        if provider.get("type") != "prometheus":
            raise refused(template, "spec.provider.type", f"it is {provider.get('type')}")
        query = str(template.spec.get("query"))
    elif name in _BUILT_IN:
        query = _BUILT_IN[name]
    else:
        query = str(metric.get("query") or "")
        if not query:
            raise refused(canary.resource, "spec.analysis.metrics", f"{name} has no query")
    limits = mapping_or_empty(metric.get("thresholdRange"))
    most = limits.get("max", metric.get("threshold"))
    if name == "request-success-rate" and "threshold" in metric:
        limits, most = {"min": metric["threshold"]}, None
    return _Check(
        name,
        _filled(canary, metric, query),
        -math.inf if limits.get("min") is None else float(limits["min"]),
        math.inf if most is None else float(most),
    )


def _filled(canary: FlaggerCanary, metric: Mapping[str, Any], query: str) -> str:
    variables = {
        "name": canary.resource.name,
        "namespace": canary.resource.namespace,
        "target": canary.target[2],
        "service": canary.name,
        "interval": str(metric.get("interval") or "1m"),
        **{
            f"variables.{name}": str(each)
            for name, each in mapping_or_empty(metric.get("templateVariables")).items()
        },
    }

    def value(found: re.Match[str]) -> str:
        if found[1] not in variables:
            raise refused(canary.resource, "spec.analysis.metrics", f"the variable {found[1]}")
        return variables[found[1]]

    return _VARIABLE.sub(value, query)
