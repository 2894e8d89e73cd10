"""Flagger and Argo Rollouts: which VirtualServices, Services and pods they control. Pure.

https://docs.flagger.app/usage/how-it-works
https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/istio/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.kubernetes import Service, ServicePort
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .resource import Resource

FLAGGER_GROUP: Final = "flagger.app"
ARGO_GROUP: Final = "argoproj.io"


@dataclass(frozen=True, slots=True)
class FlaggerCanary:
    """Flagger creates Services, a VirtualService and DestinationRules, and overwrites edits."""

    resource: Resource
    #: The name of the Service and of the VirtualService.
    name: str
    hosts: tuple[str, ...]
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class ArgoRollout:
    """Argo Rollouts edits the weights of an existing VirtualService."""

    resource: Resource
    virtual_service: str
    #: The names of the routes that it edits; empty if the VirtualService has only one.
    routes: tuple[str, ...]


def flagger_canaries(resources: Iterable[Resource]) -> Iterator[FlaggerCanary]:
    """Yield Flagger's Canaries."""
    for resource in resources:
        if resource.id.group == FLAGGER_GROUP and resource.kind == "Canary":
            service = mapping_or_empty(resource.spec.get("service"))
            target = mapping_or_empty(resource.spec.get("targetRef"))
            name = str(service.get("name") or target.get("name") or resource.name)
            yield FlaggerCanary(
                resource=resource,
                name=name,
                hosts=(name, *map(str, list_or_empty(service.get("hosts")))),
                services=tuple(_created_services(resource.namespace, name, service)),
            )


def _created_services(namespace: str, name: str, service: Mapping[str, Any]) -> Iterator[Service]:
    number = service.get("port")
    target = service.get("targetPort")
    ports: tuple[ServicePort, ...] = ()
    if isinstance(number, int):
        ports = (
            ServicePort(
                number=number,
                name=str(service.get("portName", "http")),
                target=target if isinstance(target, (int, str)) else number,
                protocol="TCP",
                app_protocol=None,
            ),
        )
    for suffix in ("", "-primary", "-canary"):
        yield Service(namespace, name + suffix, ports, selector={}, external_name=None)


def argo_rollouts(resources: Iterable[Resource]) -> Iterator[ArgoRollout]:
    """Yield an ArgoRollout for each VirtualService that an Argo Rollout edits."""
    for resource in _argo_resources(resources):
        canary = mapping_or_empty(mapping_or_empty(resource.spec.get("strategy")).get("canary"))
        istio = mapping_or_empty(mapping_or_empty(canary.get("trafficRouting")).get("istio"))
        services = [istio.get("virtualService"), *list_or_empty(istio.get("virtualServices"))]
        for service in filter(None, map(mapping_or_empty, services)):
            yield ArgoRollout(
                resource=resource,
                virtual_service=str(service.get("name")),
                routes=tuple(map(str, list_or_empty(service.get("routes")))),
            )


def argo_replicas(resources: Iterable[Resource]) -> Iterator[tuple[tuple[str, str, str], str, int]]:
    """Yield each workload whose pods an Argo Rollout runs in its place.

    That is: the workload's namespace, kind and name; the Rollout's name; its number of replicas.
    """
    for resource in _argo_resources(resources):
        if reference := mapping_or_empty(resource.spec.get("workloadRef")):
            replicas = resource.spec.get("replicas")
            yield (
                (resource.namespace, str(reference.get("kind")), str(reference.get("name"))),
                resource.name,
                replicas if isinstance(replicas, int) else 1,
            )


def _argo_resources(resources: Iterable[Resource]) -> Iterator[Resource]:
    return (each for each in resources if each.id.group == ARGO_GROUP and each.kind == "Rollout")
