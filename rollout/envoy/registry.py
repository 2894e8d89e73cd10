"""Services and DestinationRules by their hosts, as routes name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.hosts import ServiceName, expand_host, service_of
from ..manifests.http_route import Destination
from ..manifests.kubernetes import Service, ServicePort
from ..manifests.traffic_policy import TrafficPolicy
from .configuration import Objects
from .names import cluster_name
from .protocols import speaks_http

_BLOCKS: Final = ("load_balancer", "connection_pool", "outlier_detection", "tls")


class Registry:
    """Looks up what the objects say of a host."""

    def __init__(self, objects: Objects) -> None:
        self._services: Mapping[ServiceName, Service] = {
            ServiceName(each.namespace, each.name): each for each in objects.services
        }
        self._rules: dict[str, list[DestinationRule]] = {}
        for rule in objects.destination_rules:
            host = expand_host(rule.spec.host, rule.namespace)
            self._rules.setdefault(host, []).append(rule)

    @property
    def services(self) -> tuple[Service, ...]:
        """Return the Services that have pods of their own, in their order."""
        return tuple(each for each in self._services.values() if each.external_name is None)

    def service(self, host: str) -> Service | None:
        """Return the Service of a full host."""
        name = service_of(host)
        return None if name is None else self._services.get(name)

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """Return the cluster of a destination; there may be none of that name.

        Short hosts count from ``namespace``. Where no port is said it is the Service's only one,
        and else the one that the request came to.
        """
        host = expand_host(destination.host, namespace)
        service = self.service(host)
        if destination.port:
            port = destination.port.number
        elif service and len(service.ports) == 1:
            port = service.ports[0].number
        else:
            port = listener_port
        if service and service.external_name:
            # Kubernetes calls it an alias, and so does Istio.
            host = service.external_name
        return cluster_name(host, port, destination.subset)

    def policy(self, host: str, subset: str | None = None) -> TrafficPolicy:
        """Return how pods are treated: each block as the subset says, or else as the host does."""
        general = next(
            (each.spec.traffic_policy for each in self._rules_of(host) if each.spec.traffic_policy),
            TrafficPolicy(),
        )
        own = next(
            (each.traffic_policy for each in self.subsets(host) if each.name == subset), None
        )
        if own is None:
            return general
        blocks = {block: getattr(own, block) or getattr(general, block) for block in _BLOCKS}
        return general.model_copy(update=blocks)

    def subsets(self, host: str) -> tuple[Subset, ...]:
        """Return the subsets of a full host; of two with the same name the first counts."""
        found: dict[str, Subset] = {}
        for rule in self._rules_of(host):
            for subset in rule.spec.subsets:
                found.setdefault(subset.name, subset)
        return tuple(found.values())

    def _rules_of(self, host: str) -> list[DestinationRule]:
        """Return the rules of a host, or those of the longest wildcard that it fits."""
        if host in self._rules:
            return self._rules[host]
        wildcards = [each for each in self._rules if each[0] == "*" and host.endswith(each[1:])]
        return self._rules[max(wildcards, key=len)] if wildcards else []


def http_ports(service: Service) -> Iterator[ServicePort]:
    """Yield the ports that routes apply to."""
    return (each for each in service.ports if speaks_http(each))
