"""Rules for Argo Rollouts: what a Rollout refers to must exist and fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.destination_rule import DestinationRule
from ...manifests.untyped import list_or_empty, mapping_or_empty
from ..argo_rollout import (
    ARGO_GROUP,
    CANARY,
    EditedRoutes,
    SubsetReference,
    TemplateReference,
    background_templates,
    canary_of,
    edited_routes,
    inconclusive_metrics,
    rollouts,
    service_references,
    subset_reference,
    template_references,
    timed_pauses,
)
from ..context import LintContext
from ..findings import Severity
from ..object_index import ObjectIndex
from ..resource import Resource
from ..rule import Problem, Rule

_NETWORKING: Final = "networking.istio.io"
_RULE: Final = f"{CANARY}.trafficRouting.istio.destinationRule"
#: Argo adds this label to the selectors of the Services itself.
_HASH: Final = "rollouts-pod-template-hash"


def argo_undefined(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for edited in edited_routes(context.checked):
        kind, name = "VirtualService", edited.virtual_service
        if known.is_missing(_NETWORKING, kind, edited.namespace, name):
            yield _missing(
                edited.resource, f"{edited.path}.name", kind, edited.namespace, name, known
            )
    for rollout in rollouts(context.checked):
        namespace = rollout.namespace
        reference = subset_reference(rollout)
        if reference and known.is_missing(
            _NETWORKING, "DestinationRule", namespace, reference.name
        ):
            yield _missing(
                rollout, f"{_RULE}.name", "DestinationRule", namespace, reference.name, known
            )
        for path, name in service_references(rollout):
            if known.is_missing("", "Service", namespace, name):
                yield _missing(rollout, path, "Service", namespace, name, known)
        for template in template_references(rollout):
            kind, scope = _scope(rollout, template, known)
            if known.is_missing(ARGO_GROUP, kind, scope, template.name):
                yield _missing(rollout, template.path, kind, scope, template.name, known)
        yield from _missing_workload(rollout, known)


def _scope(rollout: Resource, template: TemplateReference, known: ObjectIndex) -> tuple[str, str]:
    """Return the kind and the namespace of an analysis template."""
    if not template.cluster_scoped:
        return "AnalysisTemplate", rollout.namespace
    # It has no namespace; the linter gives it the default one.
    kind = "ClusterAnalysisTemplate"
    return kind, known.elsewhere(ARGO_GROUP, kind, template.name) or rollout.namespace


def _missing_workload(rollout: Resource, known: ObjectIndex) -> Iterator[Problem]:
    reference = mapping_or_empty(rollout.spec.get("workloadRef"))
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    if reference and known.is_missing(group, kind, rollout.namespace, name):
        yield _missing(rollout, "spec.workloadRef.name", kind, rollout.namespace, name, known)


def _missing(
    rollout: Resource, path: str, kind: str, namespace: str, name: str, known: ObjectIndex
) -> Problem:
    group = {"Service": "", "VirtualService": _NETWORKING, "DestinationRule": _NETWORKING}.get(
        kind, ARGO_GROUP
    )
    return Problem(
        rollout,
        path,
        f"there is no {kind} {namespace}/{name}{known.hint(group, kind, name)}; the Rollout"
        " becomes degraded and moves no traffic",
        "add it, or correct the name (a VirtualService of another namespace is NAME.NAMESPACE)"
        if kind == "VirtualService"
        else "add it, or correct the name",
    )


def argo_routes(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for edited in edited_routes(context.checked):
        found = known.find(_NETWORKING, "VirtualService", edited.namespace, edited.virtual_service)
        if found is None:
            continue
        routes = [mapping_or_empty(it) for it in list_or_empty(found.spec.get("http"))]
        managed = {
            str(mapping_or_empty(each).get("name"))
            for each in list_or_empty(
                mapping_or_empty(canary_of(edited.resource).get("trafficRouting")).get(
                    "managedRoutes"
                )
            )
        }
        own = [route for route in routes if str(route.get("name")) not in managed]
        names = [str(route["name"]) for route in own if "name" in route]
        if not edited.routes:
            if len(own) > 1:
                yield Problem(
                    edited.resource,
                    edited.path,
                    f"VirtualService {found.namespace}/{found.name} has {len(own)} routes, and the"
                    " Rollout names none: the controller refuses it and moves no traffic",
                    f"list the routes under routes, such as {', '.join(names) or 'their names'}",
                )
            chosen = own if len(own) == 1 else []
        else:
            chosen = [route for route in own if route.get("name") in edited.routes]
        for index, name in enumerate(edited.routes):
            if name not in names:
                yield Problem(
                    edited.resource,
                    f"{edited.path}.routes[{index}]",
                    f'VirtualService {found.namespace}/{found.name} has no route named "{name}";'
                    " the Rollout becomes degraded and moves no traffic",
                    f"use one of its names: {', '.join(names)}" if names else "name the route",
                )
        for route in chosen:
            yield from _missing_destination(edited, found, route)


def _missing_destination(
    edited: EditedRoutes, found: Resource, route: Mapping[str, Any]
) -> Iterator[Problem]:
    canary = canary_of(edited.resource)
    subsets = subset_reference(edited.resource)
    destinations = [
        mapping_or_empty(mapping_or_empty(each).get("destination"))
        for each in list_or_empty(route.get("route"))
    ]
    hosts = {str(each.get("host")).partition(".")[0] for each in destinations}
    named = {str(each.get("subset")) for each in destinations}
    for role in ("stable", "canary"):
        subset = getattr(subsets, role) if subsets else None
        service = canary.get(f"{role}Service")
        if not (subset or service) or str(subset) in named or str(service) in hosts:
            continue
        wanted = f'the subset "{subset}"' if subset else f"Service {service}"
        yield Problem(
            edited.resource,
            edited.path,
            f'route "{route.get("name", "without a name")}" of VirtualService'
            f" {found.namespace}/{found.name} has no destination for {role} ({wanted}): the"
            " controller refuses it and moves no traffic",
            f"add a destination with {wanted}",
        )


def argo_subsets(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for rollout in rollouts(context.checked):
        reference = subset_reference(rollout)
        if reference is None:
            continue
        found = known.find(_NETWORKING, "DestinationRule", rollout.namespace, reference.name)
        if found is not None and isinstance(found.istio_object, DestinationRule):
            defined = [subset.name for subset in found.istio_object.spec.subsets]
            for field, name in _named_subsets(reference):
                if name not in defined:
                    yield Problem(
                        rollout,
                        f"{_RULE}.{field}",
                        f"DestinationRule {found.namespace}/{found.name} defines no subset"
                        f' "{name}"; the Rollout becomes degraded and moves no traffic',
                        f"use one of: {', '.join(defined)}" if defined else "define the subset",
                    )


def _named_subsets(reference: SubsetReference) -> Iterator[tuple[str, str]]:
    for field, name in (
        ("stableSubsetName", reference.stable),
        ("canarySubsetName", reference.canary),
    ):
        if name:
            yield field, name


def argo_services(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for rollout in rollouts(context.checked):
        references = list(service_references(rollout))
        names = [name for _, name in references]
        if len(set(names)) < len(names):
            yield Problem(
                rollout,
                references[-1][0],
                f"both releases have the Service {names[0]}, so the controller refuses the Rollout",
                "give each release a Service of its own",
            )
        labels = _pod_labels(rollout, known)
        for path, name in references if labels is not None else ():
            service = known.find("", "Service", rollout.namespace, name)
            selector = mapping_or_empty(service.spec.get("selector")) if service else {}
            role = path.rpartition(".")[2].removesuffix("Service")
            strategy = mapping_or_empty(rollout.spec.get("strategy"))
            settings = mapping_or_empty(strategy.get("canary")) or mapping_or_empty(
                strategy.get("blueGreen")
            )
            added = mapping_or_empty(
                mapping_or_empty(settings.get(f"{role}Metadata")).get("labels")
            )
            wrong = {
                key: value
                for key, value in selector.items()
                if key != _HASH and value not in ((labels or {}).get(key), added.get(key))
            }
            if wrong:
                shown = ", ".join(f"{key}={value}" for key, value in sorted(wrong.items()))
                yield Problem(
                    rollout,
                    path,
                    f"Service {name} selects {shown}, which the pods of the Rollout don't have; the"
                    " controller refuses it",
                    "correct the selector of the Service, or the labels of the pods",
                )


def _pod_labels(rollout: Resource, known: ObjectIndex) -> Mapping[str, Any] | None:
    """Return the labels of the pods' template, None if the input does not have it."""
    reference = mapping_or_empty(rollout.spec.get("workloadRef"))
    owner: Resource | None = rollout
    if reference:
        group = str(reference.get("apiVersion", "")).rpartition("/")[0]
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        owner = known.find(group, kind, rollout.namespace, name)
    if owner is None:
        return None
    template = mapping_or_empty(owner.spec.get("template"))
    return mapping_or_empty(mapping_or_empty(template.get("metadata")).get("labels"))


def argo_inconclusive(context: LintContext) -> Iterator[Problem]:
    known = ObjectIndex(context.in_cluster, context.everything)
    for rollout in rollouts(context.checked):
        pauses = list(timed_pauses(rollout))
        for reference in background_templates(rollout) if pauses else ():
            template = known.find(ARGO_GROUP, *_scope(rollout, reference, known), reference.name)
            metrics = list(inconclusive_metrics(template)) if template else []
            if metrics:
                yield Problem(
                    rollout,
                    reference.path,
                    f"the metric {', '.join(metrics)} can be inconclusive, for lack of data for"
                    f" example. That pauses the Rollout, but the end of a timed pause ({pauses[0]})"
                    " resumes it, and all later pauses too: the release is promoted without data",
                    "run the analysis in steps, with a count, or let no data be a failure",
                )


RULES: Final = (
    Rule(
        "argo-undefined",
        Severity.ERROR,
        "the objects that a Rollout refers to must exist, if the input has others of their kind",
        argo_undefined,
    ),
    Rule(
        "argo-routes",
        Severity.ERROR,
        "a Rollout must name routes that lead to both releases",
        argo_routes,
    ),
    Rule(
        "argo-subsets",
        Severity.ERROR,
        "the DestinationRule of a Rollout must define its subsets",
        argo_subsets,
    ),
    Rule(
        "argo-services",
        Severity.ERROR,
        "the Services of a Rollout must be two and select its pods",
        argo_services,
    ),
    Rule(
        "argo-inconclusive",
        Severity.WARNING,
        "an analysis in the background should not be inconclusive beside timed pauses",
        argo_inconclusive,
    ),
)
