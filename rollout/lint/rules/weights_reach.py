"""Rules for the reach of weights: the traffic that they are meant for must pass them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext, istio_objects
from ..findings import Severity
from ..gateway_servers import selectors_by_gateway
from ..resource import Resource
from ..rule import Problem, Rule
from ..traffic_paths import Destination, Split, destinations, splits


def weights_bypassed(context: LintContext) -> Iterator[Problem]:
    exact, wildcards = _splits_by_host(context)
    reported: set[tuple[Resource, str]] = set()
    for each in destinations(context):
        matching = exact.get(each.host, []) + [
            split for split in wildcards if each.host.endswith(split.host[1:])
        ]
        if each.chosen or not matching or any(_is_beside(it, each) for it in matching):
            continue
        if (each.resource, each.path) in reported:
            continue
        reported.add((each.resource, each.path))
        split = matching[0]
        by = f"{split.resource.kind} {split.resource.namespace}/{split.resource.name}"
        yield Problem(
            each.resource,
            each.path,
            f"the weights for {each.host} in {by} ({split.path}) reach {_callers(split.place)}"
            f" only; requests from {_source(each.place)} go to all pods of the Service, past them",
            "give this route the same subsets and weights",
        )


def _is_beside(split: Split, destination: Destination) -> bool:
    """Return True if the split is for the same callers, so that the destination is an exception.

    In the mesh, routes for one host are never applied to requests for another.
    """
    same_place = split.place == destination.place
    return same_place and (split.place != MESH or split.resource is destination.resource)


def _splits_by_host(context: LintContext) -> tuple[dict[str, list[Split]], list[Split]]:
    exact: dict[str, list[Split]] = {}
    wildcards: list[Split] = []
    for split in splits(context):
        if split.host.startswith("*"):
            wildcards.append(split)
        else:
            exact.setdefault(split.host, []).append(split)
    return exact, wildcards


def _callers(place: str) -> str:
    return "callers inside the mesh" if place == MESH else f"requests at Gateway {place}"


def _source(place: str) -> str:
    return "the mesh" if place == MESH else place if " " in place else f"Gateway {place}"


def weights_not_in_mesh(context: LintContext) -> Iterator[Problem]:
    in_mesh = {
        expand_host(host, service.namespace)
        for _, service in istio_objects(context.everything, VirtualService)
        if MESH in service.gateways
        for host in service.spec.hosts
    }
    reported: set[tuple[Resource, str]] = set()
    for split in splits(context):
        key = (split.resource, split.host)
        if split.place == MESH or split.host in in_mesh or key in reported:
            continue
        if not context.is_checked(split.resource):
            continue
        reported.add(key)
        yield Problem(
            split.resource,
            split.path,
            f"the weights reach requests at Gateway {split.place} only; callers inside the mesh"
            f" that call {split.host} reach all of its pods",
            "if it has such callers, add the host and mesh to a VirtualService with these weights",
        )


def host_at_other_proxies(context: LintContext) -> Iterator[Problem]:
    selectors = selectors_by_gateway(context.in_cluster)
    first: dict[str, tuple[str, frozenset[tuple[str, str]], VirtualService]] = {}
    for resource, service in istio_objects(context.oldest_first, VirtualService):
        at = [(it, selectors[it]) for it in service.gateways if it in selectors]
        for index, host in enumerate(service.spec.hosts if at else ()):
            full = expand_host(host, service.namespace)
            gateway, selector = at[0]
            other_gateway, other_selector, other = first.setdefault(
                full, (gateway, selector, service)
            )
            shared = any(each == other_selector for _, each in at)
            if other is not service and not shared and context.is_checked(resource):
                yield Problem(
                    resource,
                    service.spec.json_path("hosts", index),
                    f'VirtualService {other.namespace}/{other.name} has the host "{host}" too, at'
                    f" Gateway {other_gateway}, which selects other proxies than {gateway}: the"
                    " routes and weights of the one don't apply at the other",
                    "if requests at both should get the same routes, bind one VirtualService to"
                    " both Gateways",
                )


RULES: Final = (
    Rule(
        "weights-bypassed",
        Severity.WARNING,
        "the weights for a host should apply wherever requests for it come from",
        weights_bypassed,
    ),
    Rule(
        "weights-not-in-mesh",
        Severity.INFO,
        "reports weights at a Gateway that callers inside the mesh don't pass",
        weights_not_in_mesh,
    ),
    Rule(
        "host-at-other-proxies",
        Severity.INFO,
        "reports hosts with routes at Gateways that select different proxies",
        host_at_other_proxies,
    ),
)
