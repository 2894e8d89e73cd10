"""What a cluster lacks for a rollout: the routes, the rights, the sidecars of the pods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx2
from lightkube import AsyncClient
from lightkube.models.authorization_v1 import (
    ResourceAttributes,
    SelfSubjectAccessReviewSpec,
)
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Pod

from ..cluster.api_client import ApiClient, ApiError, Json
from ..cluster.route_kinds import ROUTE_KINDS
from ..cluster.target import ClusterTarget
from ..manifests.kubernetes import Service
from ..manifests.untyped import list_or_empty, mapping_or_empty
from ..plan.loading import LoadedPlan
from ..plan.model import Plan
from ..prometheus.release_label import service_of_plan
from ..runner.ports import TargetFailed
from .findings import Finding, Health

_PROXY: Final = "istio-proxy"
#: Set on pods of the ambient mode, which have no sidecar.
_AMBIENT: Final = "ambient.istio.io/redirection"


async def cluster_findings(client: AsyncClient, loaded: LoadedPlan) -> AsyncIterator[Finding]:
    """Yield what there is and what is missing."""
    plan = loaded.plan
    titles = " and ".join(each.title for each in plan.steps[0].objects)
    try:
        for warning in await ClusterTarget(client, plan).check():
            yield Finding(Health.UNKNOWN, warning)
    except TargetFailed as failed:
        what, _, remedy = str(failed).partition("; ")
        yield Finding(Health.MISSING, what, remedy)
    else:
        yield Finding(Health.OK, f"{titles} is there, and no other controller sets its weights")
    for verb, group, resource, name in _needed(plan):
        yield await _right(client, plan.namespace, verb, group, resource, name)
    yield await _sidecars(
        ApiClient(client, plan.namespace, retry_seconds=1, backoff_seconds=0.2), loaded
    )


def _needed(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Yield the verb, API group, resource and name of each right that run uses."""
    state = f"tallykv-rollout-{plan.virtual_service}"
    for verb in ("get", "patch"):
        for each in plan.steps[0].all_routes:
            routes = ROUTE_KINDS[each.kind]
            yield verb, routes.group, routes.plural, each.name
        yield verb, "coordination.k8s.io", "leases", state
        yield verb, "", "configmaps", state
    yield "list", "flagger.app", "canaries", ""
    yield "list", "argoproj.io", "rollouts", ""


async def _right(
    client: AsyncClient, namespace: str, verb: str, group: str, resource: str, name: str
) -> Finding:
    attributes = ResourceAttributes(
        namespace=namespace, verb=verb, group=group, resource=resource, name=name
    )
    said = f"{verb} {resource}{f'.{group}' if group else ''}{f' {name}' if name else ''}"
    try:
        review = await client.create(
            SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=attributes))
        )
    except httpx2.HTTPError as error:
        return Finding(
            Health.UNKNOWN,
            f"whether you may {said}: {error}",
            f"try kubectl auth can-i {verb} {resource} --namespace {namespace}",
        )
    if review.status is not None and review.status.allowed:
        return Finding(Health.OK, f"you may {said}")
    return Finding(
        Health.MISSING,
        f"you may not {said}",
        "kustomize/components/rollout-runner has a Role with every right that run needs",
    )


async def _sidecars(api: ApiClient, loaded: LoadedPlan) -> Finding:
    """Say whether the pods of the releases are in the mesh."""
    selectors = list(_selectors(loaded))
    try:
        pods = [each for each in await api.list(Pod) if _is_selected(each, selectors)]
    except ApiError as error:
        return Finding(
            Health.UNKNOWN,
            f"whether the pods have sidecars: {error}",
            f"see kubectl get pods --namespace {api.namespace}: READY must count {_PROXY}",
        )
    if not pods:
        return Finding(
            Health.MISSING, "no pods of the releases", "apply the plan's directories 1-… first"
        )
    outside = [each["metadata"]["name"] for each in pods if not _is_in_mesh(each)]
    if outside:
        return Finding(
            Health.MISSING,
            f"{len(outside)} of {len(pods)} pods are not in the mesh, such as {outside[0]}",
            f"kubectl label namespace {api.namespace} istio-injection=enabled, then restart them",
        )
    return Finding(Health.OK, f"all {len(pods)} pods of the releases are in the mesh")


def _selectors(loaded: LoadedPlan) -> Iterator[Mapping[str, str]]:
    names = {service_of_plan(loaded.plan).name, loaded.plan.stable, loaded.plan.canary}
    for each in loaded.resources:
        found = each.kubernetes_object
        if isinstance(found, Service) and found.name in names and found.selector:
            yield found.selector


def _is_selected(pod: Json, selectors: list[Mapping[str, str]]) -> bool:
    labels = mapping_or_empty(mapping_or_empty(pod.get("metadata")).get("labels"))
    return any(selector.items() <= labels.items() for selector in selectors)


def _is_in_mesh(pod: Json) -> bool:
    spec: Mapping[str, Any] = mapping_or_empty(pod.get("spec"))
    containers = [
        *list_or_empty(spec.get("containers")),
        *list_or_empty(spec.get("initContainers")),
    ]
    annotations = mapping_or_empty(mapping_or_empty(pod.get("metadata")).get("annotations"))
    return annotations.get(_AMBIENT) == "enabled" or any(
        mapping_or_empty(each).get("name") == _PROXY for each in containers
    )
