"""What another controller's object says of a release: its releases, its weights, its objects. Pure.

A rehearsal can't run the controller. It applies what the controller would write.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..lint.resource import Resource
from ..lint.resource_parser import ManifestText, ResourceParser
from ..manifests.untyped import mapping_or_empty
from .plan_file import PlanInvalid


@dataclass(frozen=True, slots=True)
class ControlledRelease:
    """The routes to change and the canary's percentages, the first 0 and the last 100.

    ``rules`` names the rules whose weights change, empty for all that lead to both releases.
    ``documents`` are what the controller writes or changes, ``removed`` what it runs no more.
    """

    owner: Resource
    stable: str
    canary: str
    routes: tuple[str, str, str]
    rules: frozenset[str]
    percentages: tuple[int, ...]
    documents: tuple[Mapping[str, Any], ...]
    removed: frozenset[tuple[str, str, str]]
    notes: tuple[str, ...] = ()


def not_modelled(owner: Resource, path: str, why: str) -> PlanInvalid:
    """Build the error of a field that would change the answer."""
    return PlanInvalid(f"{owner.kind} {owner.namespace}/{owner.name} {path} is not modelled: {why}")


def percentages_of(owner: Resource, path: str, weights: Iterable[Any]) -> tuple[int, ...]:
    """Return 0, the weights and 100 without repetitions; raise PlanInvalid unless they grow."""
    found = [0]
    for each in weights:
        if not isinstance(each, int) or not 0 <= each <= 100:
            raise PlanInvalid(
                f"{owner.kind} {owner.namespace}/{owner.name} {path}: {each} is no percentage"
            )
        if each < found[-1]:
            raise not_modelled(owner, path, f"the weights decrease from {found[-1]} to {each}")
        if each > found[-1]:
            found.append(each)
    return (*found, *(() if found[-1] == 100 else (100,)))


def find(resources: Iterable[Resource], kind: str, namespace: str, name: str) -> Resource | None:
    wanted = (kind, namespace, name)
    return next((it for it in resources if (it.kind, it.namespace, it.name) == wanted), None)


def needed(
    resources: Iterable[Resource], owner: Resource, kind: str, name: str, namespace: str = ""
) -> Resource:
    """Return an object that the owner names; raise PlanInvalid if it is not there."""
    namespace = namespace or owner.namespace
    if found := find(resources, kind, namespace, name):
        return found
    raise PlanInvalid(
        f"{owner.kind} {owner.namespace}/{owner.name} names {kind} {namespace}/{name}, which is not"
        " among the manifests; add it"
    )


def copied(document: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(dict(document))


def add_labels(document: dict[str, Any], labels: Mapping[str, str]) -> None:
    """Add labels to the selector and to the pods of a workload."""
    spec = document["spec"]
    for labelled in (
        spec.setdefault("selector", {}).setdefault("matchLabels", {}),
        spec["template"].setdefault("metadata", {}).setdefault("labels", {}),
    ):
        labelled.update(labels)


def applied(
    release: ControlledRelease, resources: Iterable[Resource], parser: ResourceParser
) -> tuple[Resource, ...]:
    """Return the objects in the cluster while the controller runs the release."""
    written = [
        resource
        for each in release.documents
        for resource in parser.parse(
            ManifestText(f"{release.owner.kind} {release.owner.name}", json.dumps(each), built=True)
        )[0]
    ]
    replaced = {each.id for each in written}
    return (
        *(
            each
            for each in resources
            if each.id not in replaced
            and (each.kind, each.namespace, each.name) not in release.removed
            and each is not release.owner
        ),
        *written,
    )


def pod_template(resource: Resource) -> Mapping[str, Any]:
    return mapping_or_empty(resource.spec.get("template"))
