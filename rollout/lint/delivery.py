"""Tools that shift weights themselves, Flagger and Argo Rollouts, and what they lay claim to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.hosts import ServiceName
from ..manifests.kubernetes import Service, ServicePort
from .subjects import Subject

FLAGGER: Final = "flagger.app"
ARGO: Final = "argoproj.io"


@dataclass(frozen=True, slots=True)
class FlaggerCanary:
    """Creates Services, a VirtualService and DestinationRules; overwrites what others change."""

    subject: Subject
    #: Of the Service and the VirtualService.
    name: str
    hosts: tuple[str, ...]
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class ArgoRollout:
    """Edits the weights of a VirtualService that exists."""

    subject: Subject
    virtual_service: str
    #: Names of the routes it edits; empty if the VirtualService has only one.
    routes: tuple[str, ...]


def flagger_canaries(subjects: Iterable[Subject]) -> Iterator[FlaggerCanary]:
    """Yield Flagger's Canaries."""
    for subject in subjects:
        if subject.identity.group == FLAGGER and subject.kind == "Canary":
            service = _mapping(subject.spec.get("service"))
            target = _mapping(subject.spec.get("targetRef"))
            name = str(service.get("name") or target.get("name") or subject.name)
            hosts = service.get("hosts")
            yield FlaggerCanary(
                subject=subject,
                name=name,
                hosts=(name, *(map(str, hosts) if isinstance(hosts, list) else ())),
                services=tuple(_generated(subject.namespace, name, service)),
            )


def _generated(namespace: str, name: str, service: Mapping[str, Any]) -> Iterator[Service]:
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


def argo_rollouts(subjects: Iterable[Subject]) -> Iterator[ArgoRollout]:
    """Yield Argo's Rollouts for each VirtualService that they edit."""
    for subject in subjects:
        if subject.identity.group == ARGO and subject.kind == "Rollout":
            canary = _mapping(_mapping(subject.spec.get("strategy")).get("canary"))
            istio = _mapping(_mapping(canary.get("trafficRouting")).get("istio"))
            several = istio.get("virtualServices")
            named = [istio.get("virtualService"), *(several if isinstance(several, list) else ())]
            for each in filter(None, map(_mapping, named)):
                routes = each.get("routes")
                yield ArgoRollout(
                    subject=subject,
                    virtual_service=str(each.get("name")),
                    routes=tuple(map(str, routes)) if isinstance(routes, list) else (),
                )


def argo_scaled(subjects: Iterable[Subject]) -> Iterator[tuple[tuple[str, str, str], str, int]]:
    """Yield which workload's pods a Rollout runs: namespace, kind, name; its name; how many."""
    for subject in subjects:
        if subject.identity.group == ARGO and subject.kind == "Rollout":
            reference = _mapping(subject.spec.get("workloadRef"))
            replicas = subject.spec.get("replicas")
            if reference:
                yield (
                    (subject.namespace, str(reference.get("kind")), str(reference.get("name"))),
                    subject.name,
                    replicas if isinstance(replicas, int) else 1,
                )


def generated_services(subjects: Iterable[Subject]) -> Iterator[tuple[ServiceName, Service]]:
    """Yield the Services that no manifest holds, because Flagger creates them."""
    for canary in flagger_canaries(subjects):
        for service in canary.services:
            yield ServiceName(service.namespace, service.name), service


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
