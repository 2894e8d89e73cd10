"""The Services and DestinationRules of the mesh, looked up by host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.destinations import Destination
from ..manifests.hosts import ServiceName, expand_host, service_of
from ..manifests.kubernetes import Service, ServicePort
from ..manifests.traffic_policy import TrafficPolicy
from .configuration import Objects
from .protocol_selection import Protocol, protocol_of
from .resource_names import cluster_name

_POLICY_FIELDS: Final = ("load_balancer", "connection_pool", "outlier_detection", "tls")


class ServiceRegistry:
    """Finds Services, clusters, subsets and traffic policies."""

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
        """Return the Services that are not of type ExternalName, in the order of the objects."""
        return tuple(each for each in self._services.values() if each.external_name is None)

    def service(self, host: str) -> Service | None:
        """Return the Service of a full host, None if there is none."""
        name = service_of(host)
        return None if name is None else self._services.get(name)

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """Return the name of a destination's cluster, which may not exist.

        A short host belongs to ``namespace``. A destination without a port means the Service's only
        port; of a Service with several ports, the listener's.
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
            # Like Istio: an ExternalName Service is an alias.
            host = service.external_name
        return cluster_name(host, port, destination.subset)

    def policy(self, host: str, subset: str | None = None) -> TrafficPolicy:
        """Return a host's traffic policy; each field that the subset sets replaces the host's."""
        of_host = next(
            (each.spec.traffic_policy for each in self._rules_of(host) if each.spec.traffic_policy),
            TrafficPolicy(),
        )
        of_subset = next(
            (each.traffic_policy for each in self.subsets(host) if each.name == subset), None
        )
        if of_subset is None:
            return of_host
        fields = {
            name: getattr(of_subset, name) or getattr(of_host, name) for name in _POLICY_FIELDS
        }
        return of_host.model_copy(update=fields)

    def subsets(self, host: str) -> tuple[Subset, ...]:
        """Return the subsets of a full host; of several with the same name, the first."""
        found: dict[str, Subset] = {}
        for rule in self._rules_of(host):
            for subset in rule.spec.subsets:
                found.setdefault(subset.name, subset)
        return tuple(found.values())

    def _rules_of(self, host: str) -> list[DestinationRule]:
        """Return the DestinationRules of a host, else those of the longest matching wildcard."""
        if host in self._rules:
            return self._rules[host]
        wildcards = [each for each in self._rules if each[0] == "*" and host.endswith(each[1:])]
        return self._rules[max(wildcards, key=len)] if wildcards else []


def http_ports(service: Service) -> Iterator[ServicePort]:
    """Yield the ports that HTTP routes apply to."""
    return (each for each in service.ports if protocol_of(each) is not Protocol.OTHER)
