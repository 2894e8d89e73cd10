"""Rules for conflicts: two objects or controllers must not configure the same thing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.http_route import HttpRoute
from ...manifests.untyped import list_or_empty
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext, istio_objects
from ..findings import Severity
from ..progressive_delivery import ArgoRollout, argo_rollouts, flagger_canaries
from ..resource import Resource
from ..rule import Problem, Rule

_ONE_WEIGHT_OWNER: Final = "let only one of the two set the weights"


def host_claimed_twice(context: LintContext) -> Iterator[Problem]:
    for resource, path, host, other in _shared_hosts(context, mesh=True):
        yield Problem(
            resource,
            path,
            f'VirtualService {other} has the host "{host}" too; in the mesh, Istio uses the older'
            " one and ignores the other",
            "move the routes into one VirtualService",
        )


def host_split(context: LintContext) -> Iterator[Problem]:
    for resource, path, host, other in _shared_hosts(context, mesh=False):
        yield Problem(
            resource,
            path,
            f'VirtualService {other} has the host "{host}" at the same Gateway; Istio does not'
            " define whose routes come first",
            "move the routes into one VirtualService, or let no request match both",
        )


def _shared_hosts(context: LintContext, *, mesh: bool) -> Iterator[tuple[Resource, str, str, str]]:
    """Yield each host that an earlier VirtualService has at the same gateway.

    That is: the object, the JSON path of the host, the host, and the name of the earlier object.
    """
    seen: dict[tuple[str, str], VirtualService] = {}
    for resource, service in istio_objects(context.oldest_first, VirtualService):
        for index, host in enumerate(service.spec.hosts):
            full = expand_host(host, service.namespace)
            for gateway in service.gateways:
                first = seen.setdefault((gateway, full), service)
                is_shared = first is not service and (gateway == MESH) == mesh
                if is_shared and context.is_checked(resource):
                    name = f"{first.namespace}/{first.name}"
                    yield resource, service.spec.json_path("hosts", index), host, name
                    break


def weights_two_owners(context: LintContext) -> Iterator[Problem]:
    yield from _weights_of_flagger(context)
    for rollout in argo_rollouts(context.in_cluster):
        yield from _weights_of_argo(context, rollout)


def _weights_of_flagger(context: LintContext) -> Iterator[Problem]:
    for canary in flagger_canaries(context.in_cluster):
        namespace = canary.resource.namespace
        claimed = {expand_host(host, namespace) for host in canary.hosts}
        for resource, service in context.virtual_services():
            shared = claimed & {expand_host(host, service.namespace) for host in service.spec.hosts}
            same_name = (service.namespace, service.name) == (namespace, canary.name)
            if same_name or shared:
                what = (
                    "creates a VirtualService with this name"
                    if same_name
                    else f"routes {', '.join(sorted(shared))}"
                )
                yield Problem(
                    resource,
                    "metadata.name" if same_name else service.spec.json_path("hosts"),
                    f"Flagger's Canary {canary.resource.name} {what} and overwrites this one",
                    "let only one of the two define the routes",
                )
        for rollout in argo_rollouts(context.in_cluster):
            if rollout.resource.namespace == namespace and rollout.virtual_service == canary.name:
                yield Problem(
                    canary.resource,
                    "",
                    f"Argo Rollout {rollout.resource.name} also sets the weights of"
                    f" VirtualService {canary.name}",
                    _ONE_WEIGHT_OWNER,
                )


def _weights_of_argo(context: LintContext, rollout: ArgoRollout) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        if (service.namespace, service.name) != (
            rollout.resource.namespace,
            rollout.virtual_service,
        ):
            continue
        for route in service.spec.http:
            weights = [each.weight for each in route.route]
            if _is_edited(route, rollout) and len(weights) > 1 and 100 not in weights:
                yield Problem(
                    resource,
                    route.json_path("route"),
                    f"Argo Rollout {rollout.resource.name} sets these weights; the next apply of"
                    f" this manifest resets them to {'/'.join(map(str, weights))}",
                    "set them to 100 and 0, where a rollout begins and ends",
                )


def _is_edited(route: HttpRoute, rollout: ArgoRollout) -> bool:
    return not rollout.routes or route.name in rollout.routes


def routes_two_apis(context: LintContext) -> Iterator[Problem]:
    routes = [
        (resource, host)
        for resource in context.in_cluster
        if resource.kind in {"HTTPRoute", "GRPCRoute"}
        for host in _gateway_api_hosts(resource)
    ]
    for resource, service in context.virtual_services():
        for index, written in enumerate(service.spec.hosts):
            full = expand_host(written, service.namespace)
            for other, host in routes:
                if host in {full, written}:
                    yield Problem(
                        resource,
                        service.spec.json_path("hosts", index),
                        f'{other.kind} {other.namespace}/{other.name} also routes "{written}";'
                        " Istio does not define which of the two applies",
                        "keep the VirtualService or the route of the Gateway API",
                    )


def _gateway_api_hosts(resource: Resource) -> Iterator[str]:
    for host in list_or_empty(resource.spec.get("hostnames")):
        yield str(host)
    for parent in list_or_empty(resource.spec.get("parentRefs")):
        if isinstance(parent, dict) and parent.get("kind") == "Service":
            namespace = str(parent.get("namespace") or resource.namespace)
            yield expand_host(str(parent.get("name")), namespace)


def replicas_two_owners(context: LintContext) -> Iterator[Problem]:
    for resource, workload in context.workloads():
        if workload.replicas is None:
            continue
        scaled = (workload.namespace, workload.kind, workload.name)
        for scaler in context.autoscalers_of(scaled):
            yield Problem(
                resource,
                "spec.replicas",
                f"HorizontalPodAutoscaler {scaler.name} sets the replicas; the next apply of"
                f" this manifest resets them to {workload.replicas}, even under load",
                "remove spec.replicas",
            )


RULES: Final = (
    Rule(
        "host-claimed-twice",
        Severity.ERROR,
        "in the mesh, a host must have only one VirtualService",
        host_claimed_twice,
    ),
    Rule(
        "host-split",
        Severity.WARNING,
        "at a Gateway, a host should have only one VirtualService",
        host_split,
    ),
    Rule(
        "weights-two-owners",
        Severity.ERROR,
        "only one of manifests, Flagger and Argo Rollouts may set the weights of a VirtualService",
        weights_two_owners,
    ),
    Rule(
        "routes-two-apis",
        Severity.ERROR,
        "a host must not have both a VirtualService and a route of the Gateway API",
        routes_two_apis,
    ),
    Rule(
        "replicas-two-owners",
        Severity.WARNING,
        "the manifest of an autoscaled workload should not set spec.replicas",
        replicas_two_owners,
    ),
)
