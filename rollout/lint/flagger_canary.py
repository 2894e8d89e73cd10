"""Flagger's Canary: what it refers to, and the objects that Flagger writes for it. Pure.

https://docs.flagger.app/usage/how-it-works
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.kubernetes import Service, ServicePort
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .resource import Resource

FLAGGER_GROUP: Final = "flagger.app"


@dataclass(frozen=True, slots=True)
class FlaggerCanary:
    """Flagger creates Services, routes and a primary, and overwrites edits of them."""

    resource: Resource
    #: The name of the Service and of the routes.
    name: str
    hosts: tuple[str, ...]
    services: tuple[Service, ...]
    #: True if the routes are an HTTPRoute, False if they are a VirtualService.
    uses_gateway_api: bool

    @property
    def gateways(self) -> frozenset[str]:
        """Return Istio's Gateways that the routes are bound to, as ``namespace/name``."""
        if self.uses_gateway_api:
            return frozenset()
        service = mapping_or_empty(self.resource.spec.get("service"))
        written = map(str, list_or_empty(service.get("gateways")))
        own = self.resource.namespace
        return frozenset(each if "/" in each else f"{own}/{each}" for each in written)

    @property
    def target(self) -> tuple[str, str, str]:
        """Return the group, kind and name of the workload that it releases."""
        target = mapping_or_empty(self.resource.spec.get("targetRef"))
        group = str(target.get("apiVersion", "apps/v1")).rpartition("/")[0]
        return group, str(target.get("kind", "Deployment")), str(target.get("name"))

    def written(self) -> Iterator[tuple[str, str, str]]:
        """Yield the group, kind and name of what Flagger writes, but for the routes."""
        for service in self.services:
            yield "", "Service", service.name
        group, kind, target = self.target
        if kind in {"Deployment", "DaemonSet"}:
            yield group, kind, f"{target}-primary"
        if not self.uses_gateway_api:
            for suffix in ("-primary", "-canary"):
                yield "networking.istio.io", "DestinationRule", self.name + suffix


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
                uses_gateway_api=_uses_gateway_api(resource, service),
            )


def _uses_gateway_api(resource: Resource, service: Mapping[str, Any]) -> bool:
    provider = resource.spec.get("provider")
    # Without a provider it is the controller's, which the input does not show.
    return (
        provider.startswith("gatewayapi") if isinstance(provider, str) else "gatewayRefs" in service
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
