"""Argo Rollouts' Rollout: what it refers to, what it edits, and its analysis. Pure.

https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/istio/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from .resource import Resource

ARGO_GROUP: Final = "argoproj.io"
CANARY: Final = "spec.strategy.canary"
_ISTIO: Final = f"{CANARY}.trafficRouting.istio"


@dataclass(frozen=True, slots=True)
class EditedRoutes:
    """A VirtualService whose weights a Rollout sets."""

    resource: Resource
    path: str
    namespace: str
    virtual_service: str
    #: The names of the routes that it edits; empty if the VirtualService has only one.
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubsetReference:
    """The DestinationRule whose subsets a Rollout binds to its pods."""

    name: str
    stable: str | None
    canary: str | None


@dataclass(frozen=True, slots=True)
class TemplateReference:
    path: str
    name: str
    cluster_scoped: bool


def rollouts(resources: Iterable[Resource]) -> Iterator[Resource]:
    return (each for each in resources if each.id.group == ARGO_GROUP and each.kind == "Rollout")


def canary_of(rollout: Resource) -> Mapping[str, Any]:
    return mapping_or_empty(mapping_or_empty(rollout.spec.get("strategy")).get("canary"))


def _istio(rollout: Resource) -> Mapping[str, Any]:
    routing = mapping_or_empty(canary_of(rollout).get("trafficRouting"))
    return mapping_or_empty(routing.get("istio"))


def edited_routes(resources: Iterable[Resource]) -> Iterator[EditedRoutes]:
    """Yield each VirtualService that a Rollout edits."""
    for resource in rollouts(resources):
        istio = _istio(resource)
        references = [(f"{_ISTIO}.virtualService", istio.get("virtualService"))]
        for index, each in enumerate(list_or_empty(istio.get("virtualServices"))):
            references.append((f"{_ISTIO}.virtualServices[{index}]", each))
        for path, written in references:
            if service := mapping_or_empty(written):
                # The namespace may follow the name.
                name, _, namespace = str(service.get("name")).partition(".")
                yield EditedRoutes(
                    resource=resource,
                    path=path,
                    namespace=namespace or resource.namespace,
                    virtual_service=name,
                    routes=tuple(map(str, list_or_empty(service.get("routes")))),
                )


def subset_reference(rollout: Resource) -> SubsetReference | None:
    """Return the DestinationRule of the traffic routing, None if it splits between Services."""
    if rule := mapping_or_empty(_istio(rollout).get("destinationRule")):
        return SubsetReference(
            name=str(rule.get("name")),
            stable=text_or_none(rule.get("stableSubsetName")),
            canary=text_or_none(rule.get("canarySubsetName")),
        )
    return None


def service_references(rollout: Resource) -> Iterator[tuple[str, str]]:
    """Yield the JSON path and the name of each Service that a Rollout switches."""
    blue_green = mapping_or_empty(mapping_or_empty(rollout.spec.get("strategy")).get("blueGreen"))
    for path, settings, names in (
        (CANARY, canary_of(rollout), ("stableService", "canaryService")),
        ("spec.strategy.blueGreen", blue_green, ("activeService", "previewService")),
    ):
        for name in names:
            if written := text_or_none(settings.get(name)):
                yield f"{path}.{name}", written


def background_templates(rollout: Resource) -> tuple[TemplateReference, ...]:
    """Return the templates of the analysis that runs beside the steps."""
    return tuple(_templates(f"{CANARY}.analysis", canary_of(rollout).get("analysis")))


def template_references(rollout: Resource) -> Iterator[TemplateReference]:
    """Yield every analysis template that a Rollout names."""
    yield from background_templates(rollout)
    for index, step in enumerate(list_or_empty(canary_of(rollout).get("steps"))):
        path = f"{CANARY}.steps[{index}].analysis"
        yield from _templates(path, mapping_or_empty(step).get("analysis"))
    blue_green = mapping_or_empty(mapping_or_empty(rollout.spec.get("strategy")).get("blueGreen"))
    for name in ("prePromotionAnalysis", "postPromotionAnalysis"):
        yield from _templates(f"spec.strategy.blueGreen.{name}", blue_green.get(name))


def _templates(path: str, analysis: Any) -> Iterator[TemplateReference]:
    for index, each in enumerate(list_or_empty(mapping_or_empty(analysis).get("templates"))):
        template = mapping_or_empty(each)
        if name := text_or_none(template.get("templateName")):
            yield TemplateReference(
                f"{path}.templates[{index}].templateName",
                name,
                template.get("clusterScope") is True,
            )


def timed_pauses(rollout: Resource) -> Iterator[str]:
    """Yield the JSON path of each pause that ends by itself."""
    for index, step in enumerate(list_or_empty(canary_of(rollout).get("steps"))):
        pause = mapping_or_empty(mapping_or_empty(step).get("pause"))
        if pause.get("duration") not in (None, "", 0):
            yield f"{CANARY}.steps[{index}].pause"


def inconclusive_metrics(template: Resource) -> Iterator[str]:
    """Yield the names of metrics whose result can be neither a success nor a failure."""
    for each in list_or_empty(template.spec.get("metrics")):
        metric = mapping_or_empty(each)
        provider = mapping_or_empty(metric.get("provider"))
        # With one condition only, whatever it does not meet is the opposite.
        both = metric.get("successCondition") and metric.get("failureCondition")
        if both or "kayenta" in provider:
            yield str(metric.get("name"))


def replicas_in_place_of(
    resources: Iterable[Resource],
) -> Iterator[tuple[tuple[str, str, str], str, int]]:
    """Yield each workload whose pods a Rollout runs in its place.

    That is: the workload's namespace, kind and name; the Rollout's name; its number of replicas.
    """
    for resource in rollouts(resources):
        if reference := mapping_or_empty(resource.spec.get("workloadRef")):
            replicas = resource.spec.get("replicas")
            yield (
                (resource.namespace, str(reference.get("kind")), str(reference.get("name"))),
                resource.name,
                replicas if isinstance(replicas, int) else 1,
            )
