"""Argo Rollouts' Rollout: its steps in order, with analyses between them and beside them.

https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..lint.argo_rollout import canary_of
from ..lint.resource import Resource
from ..manifests.untyped import list_or_empty, mapping_or_empty
from ..plan.controlled_release import needed
from .conditions import ConditionInvalid, NoValue, evaluate
from .decision import PAUSED, PROMOTED, ROLLED_BACK, UNDECIDED, Ask, Decision, refused
from .durations import seconds_of

#: After an error, Argo measures again so soon.
_ERROR_SECONDS: Final = 10.0
_CONSECUTIVE_ERRORS: Final = 4
_ARGUMENT: Final = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")
_SUCCESSFUL, _FAILED, _INCONCLUSIVE = "successful", "failed", "inconclusive"


@dataclass(frozen=True, slots=True)
class _End:
    """How an analysis ended. ``time`` is infinite if it goes on."""

    time: float
    phase: str
    reason: str = ""


async def decide(
    rollout: Resource, resources: Sequence[Resource], ask: Ask, since: float, until: float
) -> Decision:
    """Return what Argo decides if the canary gets its first requests at ``since``.

    Raise PlanInvalid for what is not known here.
    """
    canary = canary_of(rollout)
    now, beside = since, _End(math.inf, _SUCCESSFUL)
    background = mapping_or_empty(canary.get("analysis"))
    for number, each in enumerate(map(mapping_or_empty, list_or_empty(canary.get("steps")))):
        if background and number == int(background.get("startingStep") or 0):
            beside = await _analysis(rollout, resources, background, ask, now, until)
        if "pause" in each:
            duration = mapping_or_empty(each["pause"]).get("duration")
            if duration in (None, "", 0):
                if beside.time <= until and beside.phase == _FAILED:
                    return Decision(ROLLED_BACK, beside.time, beside.reason)
                return Decision(PAUSED, now, "a pause without a duration")
            now += seconds_of(duration, 0.0)
        elif "analysis" in each:
            inline = mapping_or_empty(each["analysis"])
            end = await _analysis(rollout, resources, inline, ask, now, until)
            if min(end.time, beside.time) > until:
                break
            if end.phase != _SUCCESSFUL and end.time <= beside.time:
                verdict = ROLLED_BACK if end.phase == _FAILED else PAUSED
                return Decision(verdict, end.time, end.reason)
            now = max(now, min(end.time, beside.time))
        elif "setWeight" not in each:
            raise refused(rollout, f"spec.strategy.canary.steps[{number}]", ", ".join(each))
        if beside.time <= min(now, until):
            verdict = ROLLED_BACK if beside.phase == _FAILED else PAUSED
            return Decision(verdict, beside.time, beside.reason)
        if now > until:
            break
    else:
        return Decision(PROMOTED, now)
    return Decision(UNDECIDED, until, "its steps take longer than the range")


async def _analysis(
    rollout: Resource,
    resources: Sequence[Resource],
    analysis: Mapping[str, Any],
    ask: Ask,
    since: float,
    until: float,
) -> _End:
    """Run the metrics of all templates; the first that does not succeed ends the analysis."""
    arguments = {
        str(each.get("name")): _argument(rollout, each)
        for each in map(mapping_or_empty, list_or_empty(analysis.get("args")))
    }
    ends: list[_End] = []
    for reference in map(mapping_or_empty, list_or_empty(analysis.get("templates"))):
        if reference.get("clusterScope"):
            raise refused(rollout, "spec.strategy.canary", "a ClusterAnalysisTemplate")
        template = needed(
            resources, rollout, "AnalysisTemplate", str(reference.get("templateName"))
        )
        ends += [
            await _metric(template, metric, arguments, ask, since, until)
            for metric in map(mapping_or_empty, list_or_empty(template.spec.get("metrics")))
        ]
    bad = [each for each in ends if each.phase != _SUCCESSFUL]
    if bad:
        return min(bad, key=lambda each: each.time)
    return _End(max((each.time for each in ends), default=since), _SUCCESSFUL)


def _argument(rollout: Resource, argument: Mapping[str, Any]) -> str:
    if "value" in argument:
        return str(argument["value"])
    path = mapping_or_empty(mapping_or_empty(argument.get("valueFrom")).get("fieldRef")).get(
        "fieldPath"
    )
    fields = {"metadata.namespace": rollout.namespace, "metadata.name": rollout.name}
    if path in fields:
        return fields[path]
    raise refused(rollout, "args", f"where {argument.get('name')} comes from")


async def _metric(
    template: Resource,
    metric: Mapping[str, Any],
    arguments: Mapping[str, str],
    ask: Ask,
    since: float,
    until: float,
) -> _End:
    name = str(metric.get("name"))
    prometheus = mapping_or_empty(mapping_or_empty(metric.get("provider")).get("prometheus"))
    if not prometheus:
        raise refused(template, f"the metric {name}", "its provider is not Prometheus")

    def value(found: re.Match[str]) -> str:
        if found[1] not in arguments:
            raise refused(template, f"the metric {name}", f"the argument {found[1]}")
        return arguments[found[1]]

    query = _ARGUMENT.sub(value, str(prometheus.get("query")))
    interval = seconds_of(metric.get("interval"), 0.0)
    count = int(metric.get("count") or (0 if interval else 1))
    limits = {
        _FAILED: int(metric.get("failureLimit") or 0),
        _INCONCLUSIVE: int(metric.get("inconclusiveLimit") or 0),
    }
    seen = {_SUCCESSFUL: 0, _FAILED: 0, _INCONCLUSIVE: 0}
    most_errors = int(metric.get("consecutiveErrorLimit", _CONSECUTIVE_ERRORS))
    errors = 0
    now = since + seconds_of(metric.get("initialDelay"), 0.0)
    while now <= until:
        values = await ask(query, now)
        try:
            phase = _phase(metric, values)
        except ConditionInvalid as error:
            raise refused(template, f"the metric {name}", str(error)) from None
        except NoValue:
            errors += 1
            if errors > most_errors:
                return _End(now, _FAILED, f"{name}: {errors} measurements in a row have no value")
            now += interval or _ERROR_SECONDS
            continue
        errors = 0
        seen[phase] += 1
        if phase in limits and seen[phase] > limits[phase]:
            shown = ", ".join(f"{each:.4g}" for each in values) or "no value"
            return _End(now, phase, f"{name} is {phase}: {shown}")
        if count and sum(seen.values()) >= count:
            return _End(now, _SUCCESSFUL)
        now += interval
    return _End(math.inf, _SUCCESSFUL)


def _phase(metric: Mapping[str, Any], values: Sequence[float]) -> str:
    success, failure = metric.get("successCondition"), metric.get("failureCondition")
    if failure and evaluate(str(failure), values):
        return _FAILED
    if success and evaluate(str(success), values):
        return _SUCCESSFUL
    if success and failure:
        return _INCONCLUSIVE
    return _FAILED if success else _SUCCESSFUL
