"""Who else holds the weights of a VirtualService: Flagger, Argo Rollouts, a GitOps tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lightkube.generic_resource import create_namespaced_resource

from ..runner.ports import NotOurs
from .api_client import Absent, Api, Forbidden, Json, Kind, patiently

#: Whoever writes with a controller's own account, as managedFields has it.
_CONTROLLERS: Final = {
    "argo-rollouts": "Argo Rollouts",
    "flagger": "Flagger",
    "rollouts-controller": "Argo Rollouts",
}
_OWNING_KINDS: Final = {"flagger.app": "Flagger", "argoproj.io": "Argo Rollouts"}
#: Labels and annotations of tools that bring back what Git says.
_GITOPS: Final = {
    "argocd.argoproj.io/": "Argo CD",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "helm.toolkit.fluxcd.io/": "Flux",
}
_CANARY: Final[Kind] = create_namespaced_resource("flagger.app", "v1beta1", "Canary", "canaries")
_ROLLOUT: Final[Kind] = create_namespaced_resource("argoproj.io", "v1alpha1", "Rollout", "rollouts")


def refuse_owned(live: Json) -> None:
    """Raise NotOurs if the object itself says that a controller writes it."""
    metadata = _mapping(live.get("metadata"))
    for reference in _mappings(metadata.get("ownerReferences")):
        group = str(reference.get("apiVersion")).partition("/")[0]
        if owner := _OWNING_KINDS.get(group):
            raise NotOurs(
                f"{owner}'s {reference.get('kind')} {reference.get('name')} owns"
                f" {_title(live)} and sets its weights; leave them to it, or delete it first"
            )
    for entry in _mappings(metadata.get("managedFields")):
        owner = _CONTROLLERS.get(str(entry.get("manager")))
        if owner and _routes(entry):
            raise NotOurs(
                f"{owner} (field manager {entry['manager']}) wrote the routes of {_title(live)};"
                " leave them to it, or, if it is gone, take them over:"
                " kubectl apply --server-side --force-conflicts"
            )


def last_writer(live: Json, besides: str) -> str | None:
    """Return the field manager that wrote the routes last, unless it is ``besides``."""
    entries = _mappings(_mapping(live.get("metadata")).get("managedFields"))
    writers = [
        (str(entry.get("time", "")), str(entry["manager"]))
        for entry in entries
        if entry.get("manager") and _routes(entry) and entry["manager"] != besides
    ]
    return max(writers)[1] if writers else None


def gitops_warnings(live: Json) -> Iterator[str]:
    """Yield what to know where a GitOps tool keeps the object as Git has it."""
    metadata = _mapping(live.get("metadata"))
    keys = [*_mapping(metadata.get("labels")), *_mapping(metadata.get("annotations"))]
    for prefix, tool in _GITOPS.items():
        if found := next((key for key in keys if key.startswith(prefix)), None):
            yield (
                f"{tool} keeps {_title(live)} ({found}) and may bring back the weights that Git"
                " has: let it ignore them, or roll out by commits"
            )


async def refuse_claimed(
    api: Api, virtual_service: str, *, seconds: float, pause_seconds: float
) -> list[str]:
    """Raise NotOurs if a Canary or Rollout lays claim to a VirtualService; return warnings.

    Where the kind is unknown nobody does. Where we may not look, that is a warning. Raise Away.
    """
    warnings = []
    for kind, claims in ((_CANARY, _flagger), (_ROLLOUT, _argo)):
        try:
            found = await patiently(
                lambda kind=kind: api.list(kind),  # type: ignore[misc]
                seconds=seconds,
                pause_seconds=pause_seconds,
            )
        except Absent:
            continue
        except Forbidden:
            plural = kind._api_info.plural  # noqa: SLF001 - lightkube has no other name for it
            warnings.append(
                f"no permission to list {plural} in {api.namespace}: whether one of them sets the"
                " weights is unknown"
            )
            continue
        for owner in claims(found, api.namespace, virtual_service):
            raise NotOurs(
                f"{owner} sets the weights of VirtualService {api.namespace}/{virtual_service};"
                " leave them to it, or delete it first"
            )
    return warnings


def _flagger(canaries: Iterable[Json], namespace: str, name: str) -> Iterator[str]:
    """Yield the Canaries whose VirtualService is of this name: the Service's, or the target's."""
    for canary in canaries:
        spec = _mapping(canary.get("spec"))
        service, target = _mapping(spec.get("service")), _mapping(spec.get("targetRef"))
        if name == str(service.get("name") or target.get("name") or _name(canary)):
            yield f"Flagger's Canary {namespace}/{_name(canary)}"


def _argo(rollouts: Iterable[Json], namespace: str, name: str) -> Iterator[str]:
    """Yield the Rollouts that name this VirtualService, which they may write name.namespace."""
    for rollout in rollouts:
        canary = _mapping(_mapping(_mapping(rollout.get("spec")).get("strategy")).get("canary"))
        istio = _mapping(_mapping(canary.get("trafficRouting")).get("istio"))
        named = [_mapping(istio.get("virtualService")), *_mappings(istio.get("virtualServices"))]
        for each in named:
            routed, _, of = str(each.get("name", "")).partition(".")
            if routed == name and of.partition(".")[0] in {"", namespace}:
                yield f"Argo's Rollout {namespace}/{_name(rollout)}"


def _routes(entry: Mapping[str, Any]) -> bool:
    """Tell whether a manager's fields include the rules; those of a status don't count."""
    spec = _mapping(_mapping(entry.get("fieldsV1")).get("f:spec"))
    return not entry.get("subresource") and "f:http" in spec


def _title(live: Json) -> str:
    metadata = _mapping(live.get("metadata"))
    return f"VirtualService {metadata.get('namespace')}/{metadata.get('name')}"


def _name(document: Json) -> str:
    return str(_mapping(document.get("metadata")).get("name"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
