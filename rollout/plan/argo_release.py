"""The weights, pods and Services of Argo Rollouts' Rollout during a release. Pure.

https://argo-rollouts.readthedocs.io/en/stable/features/specification/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..lint.argo_rollout import CANARY, canary_of, edited_routes, subset_reference
from ..lint.resource import Resource
from ..manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from .controlled_release import (
    ControlledRelease,
    add_labels,
    copied,
    needed,
    not_modelled,
    percentages_of,
    pod_template,
)

#: The label by which Argo Rollouts tells the pods of two versions apart.
_HASH: Final = "rollouts-pod-template-hash"
_PLUGIN: Final = "argoproj-labs/gatewayAPI"
#: Steps that change no weight. The rehearsal judges instead of analyses.
_HARMLESS: Final = frozenset({"setWeight", "pause", "analysis", "setCanaryScale"})
_KINDS: Final = {"http": "HTTPRoute", "grpc": "GRPCRoute"}


def argo_release(rollout: Resource, resources: Sequence[Resource]) -> ControlledRelease:
    """Return what a Rollout does; raise PlanInvalid for what can't be rehearsed."""
    canary = canary_of(rollout)
    if not canary:
        raise not_modelled(rollout, "spec.strategy", "only the strategy canary is")
    if canary.get("pingPong"):
        raise not_modelled(rollout, f"{CANARY}.pingPong", "the two Services change their roles")
    names = subset_reference(rollout)
    stable = names.stable if names else text_or_none(canary.get("stableService"))
    fresh = names.canary if names else text_or_none(canary.get("canaryService"))
    if not stable or not fresh:
        raise not_modelled(rollout, CANARY, "it names neither two Services nor two subsets")
    kind, namespace, route, rules = _routes(rollout, canary)
    needed(resources, rollout, kind, route, namespace)
    documents, removed = _pods(rollout, resources)
    return ControlledRelease(
        owner=rollout,
        stable=stable,
        canary=fresh,
        routes=(kind, namespace, route),
        rules=rules,
        percentages=percentages_of(rollout, f"{CANARY}.steps", _weights(rollout, canary)),
        documents=(*documents, *_selections(rollout, canary, resources)),
        removed=removed,
        notes=("its pauses and analyses do not run: the rehearsal judges each step",),
    )


def _weights(rollout: Resource, canary: Mapping[str, Any]) -> Iterator[Any]:
    for index, written in enumerate(list_or_empty(canary.get("steps"))):
        step = mapping_or_empty(written)
        for name in step.keys() - _HARMLESS:
            path = f"{CANARY}.steps[{index}].{name}"
            raise not_modelled(rollout, path, "it changes where requests go")
        if "setWeight" in step:
            yield step["setWeight"]


def _routes(rollout: Resource, canary: Mapping[str, Any]) -> tuple[str, str, str, frozenset[str]]:
    """Return kind, namespace and name of the routes, and the names of the rules that change."""
    routing = mapping_or_empty(canary.get("trafficRouting"))
    path = f"{CANARY}.trafficRouting"
    if routing.get("maxTrafficWeight") not in {None, 100}:
        raise not_modelled(rollout, f"{path}.maxTrafficWeight", "weights are percentages")
    if edited := list(edited_routes([rollout])):
        if len(edited) > 1:
            raise not_modelled(rollout, f"{path}.istio.virtualServices", "it has several")
        [one] = edited
        return "VirtualService", one.namespace, one.virtual_service, frozenset(one.routes)
    plugin = mapping_or_empty(mapping_or_empty(routing.get("plugins")).get(_PLUGIN))
    namespace = text_or_none(plugin.get("namespace")) or rollout.namespace
    found = [
        (kind, namespace, name)
        for prefix, kind in _KINDS.items()
        for name in (
            text_or_none(plugin.get(f"{prefix}Route")),
            *(
                text_or_none(mapping_or_empty(each).get("name"))
                for each in list_or_empty(plugin.get(f"{prefix}Routes"))
            ),
        )
        if name
    ]
    if len(found) != 1:
        what = "it names several routes" if found else "only Istio and the Gateway API's plugin are"
        raise not_modelled(rollout, path, what)
    return (*found[0], frozenset())


def _pods(
    rollout: Resource, resources: Sequence[Resource]
) -> tuple[list[Mapping[str, Any]], frozenset[tuple[str, str, str]]]:
    """Return a Deployment for each version, and the workload that the Rollout replaces."""
    owner = rollout
    if reference := mapping_or_empty(rollout.spec.get("workloadRef")):
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        owner = needed(resources, rollout, kind, name)
    documents: list[Mapping[str, Any]] = []
    for arm in ("stable", "canary"):
        metadata = mapping_or_empty(canary_of(rollout).get(f"{arm}Metadata"))
        document: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"{rollout.name}-{arm}", "namespace": rollout.namespace},
            "spec": {
                "selector": copied(mapping_or_empty(owner.spec.get("selector"))),
                "template": copied(pod_template(owner)),
            },
        }
        add_labels(document, {_HASH: arm})
        labels = document["spec"]["template"]["metadata"]["labels"]
        labels.update(mapping_or_empty(metadata.get("labels")))
        documents.append(document)
    removed = {(owner.kind, owner.namespace, owner.name)}
    return documents, frozenset(removed)


def _selections(
    rollout: Resource, canary: Mapping[str, Any], resources: Sequence[Resource]
) -> Iterator[Mapping[str, Any]]:
    """Yield the Services and the DestinationRule that select the pods of one version each."""
    for arm in ("stable", "canary"):
        if name := text_or_none(canary.get(f"{arm}Service")):
            document = copied(needed(resources, rollout, "Service", name).document)
            document["spec"]["selector"] = {**document["spec"].get("selector", {}), _HASH: arm}
            yield document
    if names := subset_reference(rollout):
        document = copied(needed(resources, rollout, "DestinationRule", names.name).document)
        arms = {names.stable: "stable", names.canary: "canary"}
        for subset in list_or_empty(document["spec"].get("subsets")):
            if mine := arms.get(subset.get("name")):
                subset["labels"] = {**(subset.get("labels") or {}), _HASH: mine}
        yield document
