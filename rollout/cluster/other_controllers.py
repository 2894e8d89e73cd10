"""Find who else sets the weights of routes: Flagger, Argo Rollouts or a GitOps tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lightkube.generic_resource import create_namespaced_resource

from ..runner.ports import ManagedByOther
from .api_client import ApiClient, Forbidden, Json, Kind, NotFound

#: The controllers by the field manager name that they write with (metadata.managedFields).
_FIELD_MANAGERS: Final = {
    "argo-rollouts": "Argo Rollouts",
    "flagger": "Flagger",
    "rollouts-controller": "Argo Rollouts",
}
_OWNER_GROUPS: Final = {"flagger.app": "Flagger", "argoproj.io": "Argo Rollouts"}
#: Prefixes of the labels and annotations of GitOps tools, which restore what Git has.
_GITOPS_PREFIXES: Final = {
    "argocd.argoproj.io/": "Argo CD",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "helm.toolkit.fluxcd.io/": "Flux",
}
#: Argo Rollouts' plugin for the Gateway API, and its field for each kind of routes.
_PLUGIN: Final = "argoproj-labs/gatewayAPI"
_PLUGIN_FIELDS: Final = {"HTTPRoute": "httpRoute", "GRPCRoute": "grpcRoute"}
_CANARY: Final[Kind] = create_namespaced_resource("flagger.app", "v1beta1", "Canary", "canaries")
_ROLLOUT: Final[Kind] = create_namespaced_resource("argoproj.io", "v1alpha1", "Rollout", "rollouts")


def refuse_controlled(live: Json) -> None:
    """Raise ManagedByOther if the object's own metadata shows that a controller writes it."""
    metadata = _mapping(live.get("metadata"))
    for reference in _mappings(metadata.get("ownerReferences")):
        group = str(reference.get("apiVersion")).partition("/")[0]
        if owner := _OWNER_GROUPS.get(group):
            raise ManagedByOther(
                f"{owner}'s {reference.get('kind')} {reference.get('name')} owns"
                f" {_title(live)} and sets its weights; use it for the rollout, or delete it first"
            )
    for entry in _mappings(metadata.get("managedFields")):
        owner = _FIELD_MANAGERS.get(str(entry.get("manager")))
        if owner and _writes_rules(entry):
            raise ManagedByOther(
                f"{owner} (field manager {entry['manager']}) wrote the routes of {_title(live)};"
                " use it for the rollout, or, if it is gone, take over its fields:"
                " kubectl apply --server-side --force-conflicts"
            )


def last_field_manager(live: Json, other_than: str) -> str | None:
    """Return the field manager that wrote the rules last, not counting ``other_than``."""
    entries = _mappings(_mapping(live.get("metadata")).get("managedFields"))
    writers = [
        (str(entry.get("time", "")), str(entry["manager"]))
        for entry in entries
        if entry.get("manager") and _writes_rules(entry) and entry["manager"] != other_than
    ]
    return max(writers)[1] if writers else None


def gitops_warnings(live: Json) -> Iterator[str]:
    """Yield a warning for each GitOps tool that manages the routes."""
    metadata = _mapping(live.get("metadata"))
    keys = [*_mapping(metadata.get("labels")), *_mapping(metadata.get("annotations"))]
    for prefix, tool in _GITOPS_PREFIXES.items():
        if found := next((key for key in keys if key.startswith(prefix)), None):
            yield (
                f"{tool} keeps {_title(live)} ({found}) as it is in Git and may restore the weights"
                " from there: make it ignore the weights, or roll out by commits"
            )


async def refuse_claimed(api: ApiClient, routes: str, name: str) -> list[str]:
    """Raise ManagedByOther if a Canary or a Rollout names these routes; return warnings.

    ``routes`` is their kind.

    A kind that the cluster does not know is skipped. A list that is forbidden is a warning. Raise
    ApiError if a list fails otherwise.
    """
    warnings = []
    for kind, claims in ((_CANARY, _flagger_claims), (_ROLLOUT, _argo_claims)):
        try:
            found = await api.list(kind)
        except NotFound:
            continue
        except Forbidden:
            plural = kind._api_info.plural  # noqa: SLF001 - lightkube has no public name for it
            warnings.append(
                f"no permission to list {plural} in {api.namespace}: whether one of them sets the"
                " weights is unknown; grant it, or check by hand"
            )
            continue
        for claim in claims(found, api.namespace, routes, name):
            raise ManagedByOther(
                f"{claim} sets the weights of {routes} {api.namespace}/{name};"
                " use it for the rollout, or delete it first"
            )
    return warnings


def _flagger_claims(
    canaries: Iterable[Json], namespace: str, _routes: str, name: str
) -> Iterator[str]:
    """Yield the Canaries of routes with this name.

    Flagger names it after spec.service.name, else spec.targetRef.name, else the Canary.
    """
    for canary in canaries:
        spec = _mapping(canary.get("spec"))
        service, target = _mapping(spec.get("service")), _mapping(spec.get("targetRef"))
        if name == str(service.get("name") or target.get("name") or _name(canary)):
            yield f"Flagger's Canary {namespace}/{_name(canary)}"


def _argo_claims(rollouts: Iterable[Json], namespace: str, routes: str, name: str) -> Iterator[str]:
    """Yield the Rollouts that route by this object, for Istio as ``name`` or ``name.namespace``."""
    for rollout in rollouts:
        canary = _mapping(_mapping(_mapping(rollout.get("spec")).get("strategy")).get("canary"))
        routing = _mapping(canary.get("trafficRouting"))
        if any(routed == name and of in {"", namespace} for routed, of in _routed(routing, routes)):
            yield f"Argo's Rollout {namespace}/{_name(rollout)}"


def _routed(routing: Mapping[str, Any], routes: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the namespace of each object of the kind that the routing edits."""
    if field := _PLUGIN_FIELDS.get(routes):
        plugin = _mapping(_mapping(routing.get("plugins")).get(_PLUGIN))
        named = [{"name": plugin.get(field)}, *_mappings(plugin.get(f"{field}s"))]
        for each in named:
            yield str(each.get("name", "")), str(plugin.get("namespace", ""))
        return
    istio = _mapping(routing.get("istio"))
    for each in (_mapping(istio.get("virtualService")), *_mappings(istio.get("virtualServices"))):
        routed, _, of = str(each.get("name", "")).partition(".")
        yield routed, of.partition(".")[0]


def _writes_rules(entry: Mapping[str, Any]) -> bool:
    """Return True if a managedFields entry includes the rules; a subresource entry does not."""
    spec = _mapping(_mapping(entry.get("fieldsV1")).get("f:spec"))
    return not entry.get("subresource") and not spec.keys().isdisjoint({"f:http", "f:rules"})


def _title(live: Json) -> str:
    metadata = _mapping(live.get("metadata"))
    return f"{live.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}"


def _name(document: Json) -> str:
    return str(_mapping(document.get("metadata")).get("name"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
