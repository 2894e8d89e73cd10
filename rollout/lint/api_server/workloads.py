"""Workloads, autoscalers and disruption budgets as the API server accepts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.untyped import mapping_or_empty
from .fields import (
    bad,
    check_count_or_percent,
    check_labels,
    check_least,
    check_selector,
    is_whole,
    items_of,
    missing,
    selects,
)
from .pods import pod_errors

#: Kinds whose pods run until they are replaced.
LONG_RUNNING: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_SPEC: Final = ("spec",)
_TEMPLATE: Final = ("spec", "template")


def workload_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a Deployment, StatefulSet, DaemonSet or ReplicaSet."""
    spec = mapping_or_empty(document.get("spec"))
    template = mapping_or_empty(spec.get("template"))
    labels = mapping_or_empty(mapping_or_empty(template.get("metadata")).get("labels"))
    selector = mapping_or_empty(spec.get("selector"))
    yield from check_least(spec, _SPEC, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from check_selector(selector, (*_SPEC, "selector"))
    if "selector" in spec and not any(selector.values()):
        yield bad((*_SPEC, "selector"), "an empty selector is not allowed", "add matchLabels")
    elif selector and not selects(selector, labels):
        yield bad(
            (*_TEMPLATE, "metadata", "labels"),
            "the selector does not select the labels of the pod template",
            "give the template all labels of spec.selector",
        )
    yield from check_labels(labels, (*_TEMPLATE, "metadata", "labels"))
    pod = mapping_or_empty(template.get("spec"))
    if pod.get("restartPolicy", "Always") in {"OnFailure", "Never"}:
        yield bad(
            (*_TEMPLATE, "spec", "restartPolicy"),
            f"the pods of a {document.get('kind')} are always restarted",
            "remove it",
        )
    if template:
        claims = items_of(spec.get("volumeClaimTemplates"), ())
        names = (str(mapping_or_empty(each.get("metadata")).get("name")) for _, each in claims)
        yield from pod_errors(pod, (*_TEMPLATE, "spec"), names)
    yield from _strategy_errors(spec)


def _strategy_errors(spec: Mapping[str, Any]) -> Iterator[FieldError]:
    for name in ("strategy", "updateStrategy"):
        strategy = mapping_or_empty(spec.get(name))
        rolling = mapping_or_empty(strategy.get("rollingUpdate"))
        at = (*_SPEC, name, "rollingUpdate")
        if rolling and strategy.get("type") in {"Recreate", "OnDelete"}:
            yield bad(at, f"the type {strategy['type']} has no rollingUpdate", "remove it")
        for field in ("maxUnavailable", "maxSurge"):
            yield from check_count_or_percent(rolling.get(field), (*at, field))
        zero = {0, "0", "0%"}
        if rolling.get("maxUnavailable") in zero and rolling.get("maxSurge") in zero:
            yield bad((*at, "maxUnavailable"), "with maxSurge 0 it can't be 0", "raise one of them")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if is_whole(deadline) and is_whole(ready) and deadline <= ready:
        yield bad(
            (*_SPEC, "progressDeadlineSeconds"),
            f"{deadline} is not more than minReadySeconds",
            "raise it",
        )


def autoscaler_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a HorizontalPodAutoscaler."""
    spec = mapping_or_empty(document.get("spec"))
    yield from check_least(spec, _SPEC, "minReplicas", "maxReplicas", least=1)
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if is_whole(least) and is_whole(most) and most < least:
        yield bad((*_SPEC, "maxReplicas"), f"{most} is less than minReplicas", "raise it")
    target = mapping_or_empty(spec.get("scaleTargetRef"))
    for name in ("kind", "name"):
        if target.get(name) == "":
            yield missing((*_SPEC, "scaleTargetRef", name), "it is empty", "set it")


def budget_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a PodDisruptionBudget."""
    spec = mapping_or_empty(document.get("spec"))
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield bad(
            (*_SPEC, "maxUnavailable"), "minAvailable and it exclude each other", "keep one of them"
        )
    for name in ("minAvailable", "maxUnavailable"):
        yield from check_count_or_percent(spec.get(name), (*_SPEC, name))
    yield from check_selector(spec.get("selector"), (*_SPEC, "selector"))
