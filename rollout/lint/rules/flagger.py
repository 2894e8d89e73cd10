"""Rules for Flagger: a Canary refers to what exists, and nobody else writes its objects. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.kubernetes import Workload
from ...manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from ..context import LintContext
from ..findings import Severity
from ..flagger_canary import FLAGGER_GROUP, FlaggerCanary, flagger_canaries
from ..gateway_api import GATEWAY_API_GROUP
from ..object_index import ObjectIndex
from ..resource import Resource, ResourceId
from ..rule import Problem, Rule

#: By one of these labels Flagger tells the primary's pods from the canary's.
_SELECTOR_LABELS: Final = ("app", "name", "app.kubernetes.io/name")


def flagger_undefined(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for canary in flagger_canaries(context.checked):
        for path, (group, kind, namespace, name) in _references(canary):
            if known.is_missing(group, kind, namespace, name):
                yield Problem(
                    canary.resource,
                    path,
                    f"there is no {kind} {namespace}/{name}{known.hint(group, kind, name)}; Flagger"
                    " can't initialise or advance the Canary",
                    "add it, or correct the name",
                )


def _references(canary: FlaggerCanary) -> Iterator[tuple[str, ResourceId]]:
    resource = canary.resource
    own = resource.namespace
    group, kind, name = canary.target
    yield "spec.targetRef.name", ResourceId(group, kind, own, name)
    if scaler := mapping_or_empty(resource.spec.get("autoscalerRef")):
        group = str(scaler.get("apiVersion", "")).rpartition("/")[0]
        reference = ResourceId(group, str(scaler.get("kind")), own, str(scaler.get("name")))
        yield "spec.autoscalerRef.name", reference
    service = mapping_or_empty(resource.spec.get("service"))
    for index, written in enumerate(list_or_empty(service.get("gateways"))):
        namespace, _, gateway = str(written).rpartition("/")
        if gateway != "mesh":
            yield (
                f"spec.service.gateways[{index}]",
                ResourceId("networking.istio.io", "Gateway", namespace or own, gateway),
            )
    for index, each in enumerate(list_or_empty(service.get("gatewayRefs"))):
        parent = mapping_or_empty(each)
        if parent.get("kind", "Gateway") == "Gateway":
            namespace = text_or_none(parent.get("namespace")) or own
            reference = ResourceId(GATEWAY_API_GROUP, "Gateway", namespace, str(parent.get("name")))
            yield f"spec.service.gatewayRefs[{index}].name", reference
    analysis = mapping_or_empty(resource.spec.get("analysis"))
    for index, each in enumerate(list_or_empty(analysis.get("metrics"))):
        if template := mapping_or_empty(mapping_or_empty(each).get("templateRef")):
            namespace = text_or_none(template.get("namespace")) or own
            yield (
                f"spec.analysis.metrics[{index}].templateRef.name",
                ResourceId(FLAGGER_GROUP, "MetricTemplate", namespace, str(template.get("name"))),
            )


def flagger_target(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for canary in flagger_canaries(context.checked):
        group, kind, name = canary.target
        target = known.find(group, kind, canary.resource.namespace, name)
        if target is None or kind not in {"Deployment", "DaemonSet"}:
            continue
        selector = mapping_or_empty(
            mapping_or_empty(target.spec.get("selector")).get("matchLabels")
        )
        if not any(label in selector for label in _SELECTOR_LABELS):
            yield Problem(
                canary.resource,
                "spec.targetRef",
                f"the selector of {kind} {name} has none of the labels"
                f" {', '.join(_SELECTOR_LABELS)}, by which Flagger tells primary and canary apart:"
                " it does not initialise the Canary",
                "add one of these labels to the selector and to the pods",
            )
        yield from _unknown_port(canary, target)


def _unknown_port(canary: FlaggerCanary, target: Resource) -> Iterator[Problem]:
    port = mapping_or_empty(canary.resource.spec.get("service")).get("targetPort")
    workload = target.kubernetes_object
    if not isinstance(port, str) or port.isdigit() or not isinstance(workload, Workload):
        return
    names = [name for name in workload.ports.values() if name]
    if port not in names:
        yield Problem(
            canary.resource,
            "spec.service.targetPort",
            f'no container of {target.kind} {target.name} has a port named "{port}", so the'
            " Services that Flagger creates lead nowhere and requests get 503",
            f"use one of: {', '.join(names)}" if names else "name the container's port",
        )


def flagger_owned(context: LintContext) -> Iterator[Problem]:
    checked = {each.id: each for each in context.checked}
    for canary in flagger_canaries(context.in_cluster):
        for group, kind, name in canary.written():
            own = checked.get(ResourceId(group, kind, canary.resource.namespace, name))
            if own is not None:
                yield Problem(
                    own,
                    "metadata.name",
                    f"Flagger's Canary {canary.resource.name} writes {kind} {name} itself: every"
                    " apply of this manifest undoes that, until Flagger writes it again",
                    "remove it from the manifests",
                )


RULES: Final = (
    Rule(
        "flagger-undefined",
        Severity.ERROR,
        "the objects that a Canary refers to must exist, if the input has others of their kind",
        flagger_undefined,
    ),
    Rule(
        "flagger-target",
        Severity.ERROR,
        "the target of a Canary must have the labels and ports that Flagger needs",
        flagger_target,
    ),
    Rule(
        "flagger-owned",
        Severity.WARNING,
        "the manifests should not have what Flagger writes for a Canary",
        flagger_owned,
    ),
)
