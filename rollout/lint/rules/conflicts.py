"""Rules for conflicts: two objects or controllers must not configure the same thing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.http_route import HttpRoute
from ...manifests.untyped import list_or_empty
from ...manifests.virtual_service import MESH, VirtualService
from ..api_matches import Claim, Key, claims_of
from ..argo_rollout import EditedRoutes, edited_routes
from ..context import LintContext, istio_objects
from ..findings import Severity
from ..flagger_canary import FlaggerCanary, flagger_canaries
from ..gateway_api import GATEWAY_API_GROUP, api_routes
from ..resource import Resource, ResourceId
from ..rule import Problem, Rule

_ONE_WEIGHT_OWNER: Final = "let only one of the two set the weights"
_ONE_ROUTE_OWNER: Final = "let only one of the two define the routes"


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


def match_claimed_twice(context: LintContext) -> Iterator[Problem]:
    claimed: dict[Key, list[Claim]] = {}
    reported: set[tuple[Resource, str]] = set()
    routes = [each for each in api_routes(context.in_cluster) if each.resource.checkable]
    routes.sort(key=lambda it: _age(context, it.resource))
    for claim in (each for route in routes for each in claims_of(route)):
        known = claimed.setdefault(claim.key, [])
        first = next((each for each in known if each.meets(claim)), None)
        known.append(claim)
        place = claim.resource, claim.path
        if first is None or not context.is_checked(claim.resource) or place in reported:
            continue
        reported.add(place)
        where = f"at {claim.parent.kind} {claim.parent.namespace}/{claim.parent.name}"
        where = f'for "{claim.host}" {where}' if claim.host else where
        other = f"{first.resource.kind} {first.resource.namespace}/{first.resource.name}"
        harm = "only the older route gets them, or else the first by name"
        if first.resource is claim.resource:
            other, harm = first.path, "this one gets none"
        yield Problem(
            claim.resource,
            claim.path,
            f"{other} matches the same requests {where}; {harm}",
            "remove one of the two, or let their matches differ",
        )


def _age(context: LintContext, route: Resource) -> tuple[bool, str, str]:
    """Order routes as the Gateway API does; those that are applied now are of one age."""
    return context.is_checked(route), route.namespace, route.name


def weights_two_owners(context: LintContext) -> Iterator[Problem]:
    services = list(context.virtual_services())
    by_name = {(each.namespace, each.name): (resource, each) for resource, each in services}
    by_host: dict[str, list[tuple[Resource, VirtualService]]] = {}
    for resource, service in services:
        for host in {expand_host(each, service.namespace) for each in service.spec.hosts}:
            by_host.setdefault(host, []).append((resource, service))
    checked = {each.id: each for each in context.checked}
    edited = {
        (each.namespace, each.virtual_service): each for each in edited_routes(context.in_cluster)
    }
    for canary in flagger_canaries(context.in_cluster):
        yield from _weights_of_flagger(canary, by_name, by_host)
        namespace, name = canary.resource.namespace, canary.name
        route = ResourceId(GATEWAY_API_GROUP, "HTTPRoute", namespace, name)
        if canary.uses_gateway_api and route in checked:
            yield _overwritten(checked[route], "metadata.name", canary, "creates an HTTPRoute with")
        if other := edited.get((namespace, name)):
            yield Problem(
                canary.resource,
                "",
                f"Argo Rollout {other.resource.name} also sets the weights of"
                f" VirtualService {name}",
                _ONE_WEIGHT_OWNER,
            )
    for (namespace, name), rollout in edited.items():
        if found := by_name.get((namespace, name)):
            yield from _weights_of_argo(*found, rollout)


def _weights_of_flagger(
    canary: FlaggerCanary,
    by_name: Mapping[tuple[str, str], tuple[Resource, VirtualService]],
    by_host: Mapping[str, list[tuple[Resource, VirtualService]]],
) -> Iterator[Problem]:
    namespace = canary.resource.namespace
    same = by_name.get((namespace, canary.name))
    if same and not canary.uses_gateway_api:
        yield _overwritten(same[0], "metadata.name", canary, "creates a VirtualService with")
    shared: dict[Resource, set[str]] = {}
    for host in dict.fromkeys(expand_host(each, namespace) for each in canary.hosts):
        for resource, service in by_host.get(host, ()):
            if (service.namespace, service.name) != (namespace, canary.name):
                shared.setdefault(resource, set()).add(host)
    for resource, hosts in shared.items():
        yield Problem(
            resource,
            "spec.hosts",
            f"Flagger's Canary {canary.resource.name} routes {', '.join(sorted(hosts))} too, with"
            " its own weights",
            _ONE_ROUTE_OWNER,
        )


def _overwritten(resource: Resource, path: str, canary: FlaggerCanary, what: str) -> Problem:
    return Problem(
        resource,
        path,
        f"Flagger's Canary {canary.resource.name} {what} this name and overwrites this one",
        _ONE_ROUTE_OWNER,
    )


def _weights_of_argo(
    resource: Resource, service: VirtualService, rollout: EditedRoutes
) -> Iterator[Problem]:
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


def _is_edited(route: HttpRoute, rollout: EditedRoutes) -> bool:
    return not rollout.routes or route.name in rollout.routes


def routes_two_apis(context: LintContext) -> Iterator[Problem]:
    routes: dict[str, dict[Resource, None]] = {}
    for other in context.in_cluster:
        if other.kind in {"HTTPRoute", "GRPCRoute"}:
            for host in _gateway_api_hosts(other):
                routes.setdefault(host, {})[other] = None
    for resource, service in context.virtual_services():
        for index, written in enumerate(service.spec.hosts):
            full = expand_host(written, service.namespace)
            for other in routes.get(full, {}) | routes.get(written, {}):
                yield Problem(
                    resource,
                    service.spec.json_path("hosts", index),
                    f'{other.kind} {other.namespace}/{other.name} also routes "{written}"; Istio'
                    " does not define which of the two applies",
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
        "match-claimed-twice",
        Severity.WARNING,
        "two rules of the Gateway API should not match the same requests of one host",
        match_claimed_twice,
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
