"""Owners: that nothing is written by two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ...manifests.hosts import expand_host
from ...manifests.http_route import HttpRoute
from ...manifests.kubernetes import Autoscaler
from ...manifests.virtual_service import MESH, VirtualService
from ..delivery import ArgoRollout, argo_rollouts, flagger_canaries
from ..findings import Severity
from ..inventory import Inventory, models, views
from ..rule import Problem, Rule
from ..subjects import Subject


def hosts_claimed_twice(inventory: Inventory) -> Iterator[Problem]:
    for subject, path, host, other in _shared(inventory, mesh=True):
        yield Problem(
            subject,
            path,
            f'VirtualService {other} has the host "{host}" too: inside the mesh the older one'
            " counts and the other does nothing",
            "bring the rules together in one VirtualService",
        )


def hosts_split(inventory: Inventory) -> Iterator[Problem]:
    for subject, path, host, other in _shared(inventory, mesh=False):
        yield Problem(
            subject,
            path,
            f'VirtualService {other} has the host "{host}" at the same Gateway: whose rules come'
            " first is left open",
            "bring the rules together, or make sure that no request matches both",
        )


def _shared(inventory: Inventory, *, mesh: bool) -> Iterator[tuple[Subject, str, str, str]]:
    """Yield hosts that an earlier VirtualService has at the same gateway."""
    seen: dict[tuple[str, str], VirtualService] = {}
    for subject, service in models(inventory.oldest_first, VirtualService):
        for index, host in enumerate(service.spec.hosts):
            full = expand_host(host, service.namespace)
            for gateway in service.gateways:
                first = seen.setdefault((gateway, full), service)
                if first is not service and (gateway == MESH) == mesh and subject in inventory.own:
                    name = f"{first.namespace}/{first.name}"
                    yield subject, service.spec.at("hosts", index), host, name
                    break


def weights(inventory: Inventory) -> Iterator[Problem]:
    yield from _against_flagger(inventory)
    for rollout in argo_rollouts(inventory.present):
        yield from _against_argo(inventory, rollout)


def _against_flagger(inventory: Inventory) -> Iterator[Problem]:
    for canary in flagger_canaries(inventory.present):
        namespace = canary.subject.namespace
        claimed = {expand_host(host, namespace) for host in canary.hosts}
        for subject, service in inventory.virtual_services():
            own = {expand_host(host, service.namespace) for host in service.spec.hosts}
            generated = (service.namespace, service.name) == (namespace, canary.name)
            if generated or own & claimed:
                what = (
                    "creates a VirtualService of this very name"
                    if generated
                    else f"routes {', '.join(sorted(own & claimed))}"
                )
                yield Problem(
                    subject,
                    "metadata.name" if generated else service.spec.at("hosts"),
                    f"Flagger's Canary {canary.subject.name} {what} and overwrites this one",
                    "leave the routes to one of the two",
                )
        for rollout in argo_rollouts(inventory.present):
            if rollout.subject.namespace == namespace and rollout.virtual_service == canary.name:
                yield Problem(
                    canary.subject,
                    "",
                    f"Argo's Rollout {rollout.subject.name} shifts the weights of"
                    f" VirtualService {canary.name} too",
                    "leave the weights to one of the two",
                )


def _against_argo(inventory: Inventory, rollout: ArgoRollout) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        if (service.namespace, service.name) != (
            rollout.subject.namespace,
            rollout.virtual_service,
        ):
            continue
        for route in service.spec.http:
            weights = [each.weight for each in route.route]
            if _edited(route, rollout) and len(weights) > 1 and 100 not in weights:
                yield Problem(
                    subject,
                    route.at("route"),
                    f"Argo's Rollout {rollout.subject.name} shifts these weights, and applying"
                    f" {'/'.join(map(str, weights))} again would undo that",
                    "leave them at 100 and 0, where a rollout begins and ends",
                )


def _edited(route: HttpRoute, rollout: ArgoRollout) -> bool:
    return not rollout.routes or route.name in rollout.routes


def two_apis(inventory: Inventory) -> Iterator[Problem]:
    claims = [
        (subject, host)
        for subject in inventory.everything
        if subject.kind in {"HTTPRoute", "GRPCRoute"}
        for host in _route_hosts(subject)
    ]
    for subject, service in inventory.virtual_services():
        for index, written in enumerate(service.spec.hosts):
            full = expand_host(written, service.namespace)
            for other, host in claims:
                if host in {full, written} and other in inventory.present:
                    yield Problem(
                        subject,
                        service.spec.at("hosts", index),
                        f'{other.kind} {other.namespace}/{other.name} routes "{written}" too:'
                        " what Istio makes of both is undefined",
                        "keep the VirtualService or the Gateway API's routes",
                    )


def _route_hosts(subject: Subject) -> Iterator[str]:
    for host in _list(subject.spec.get("hostnames")):
        yield str(host)
    for parent in _list(subject.spec.get("parentRefs")):
        if isinstance(parent, dict) and parent.get("kind") == "Service":
            namespace = str(parent.get("namespace") or subject.namespace)
            yield expand_host(str(parent.get("name")), namespace)


def replicas(inventory: Inventory) -> Iterator[Problem]:
    for subject, workload in inventory.workloads():
        if workload.replicas is None:
            continue
        for _, scaler in views(inventory.everything, Autoscaler):
            if scaler.scales == (workload.namespace, workload.kind, workload.name):
                yield Problem(
                    subject,
                    "spec.replicas",
                    f"HorizontalPodAutoscaler {scaler.name} sets the replicas, and applying"
                    f" {workload.replicas} again would undo that under load",
                    "leave spec.replicas out",
                )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


RULES: Final = (
    Rule(
        "host-claimed-twice",
        Severity.ERROR,
        "inside the mesh a host has one VirtualService",
        hosts_claimed_twice,
    ),
    Rule(
        "host-split",
        Severity.WARNING,
        "at a Gateway a host has one VirtualService",
        hosts_split,
    ),
    Rule(
        "weights-two-owners",
        Severity.ERROR,
        "weights are set by hand, by Flagger or by Argo Rollouts",
        weights,
    ),
    Rule(
        "routes-two-apis",
        Severity.ERROR,
        "a host has a VirtualService or routes of the Gateway API",
        two_apis,
    ),
    Rule(
        "replicas-two-owners",
        Severity.WARNING,
        "an autoscaler's workload leaves spec.replicas out",
        replicas,
    ),
)
