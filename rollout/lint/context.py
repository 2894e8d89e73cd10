"""What a rule sees: the objects to check, and all objects that it can look up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.gateway import Gateway
from ..manifests.hosts import ServiceName, covers_host, expand_host
from ..manifests.kinds import ISTIO_GROUP_SUFFIX
from ..manifests.kubernetes import Autoscaler, Service, Workload
from ..manifests.metadata import IstioObject
from ..manifests.untyped import list_or_empty
from ..manifests.virtual_service import VirtualService
from .argo_rollout import replicas_in_place_of
from .flagger_canary import flagger_canaries
from .group_index import GroupIndex
from .resource import Resource

Model = TypeVar("Model", bound=IstioObject)
View = TypeVar("View", Service, Workload, Autoscaler)


@dataclass(frozen=True)
class LintContext:
    """``checked`` are the objects to check; ``existing`` are assumed to be in the cluster.

    ``neighbors`` are the other objects of the same directory tree, those of the nearest directory
    first. A reference that ``checked`` and ``existing`` do not resolve is looked up there, because
    the directories of a tree are often applied one by one.
    """

    checked: tuple[Resource, ...]
    existing: tuple[Resource, ...] = ()
    neighbors: tuple[tuple[Resource, ...], ...] = ()

    # The objects to check.

    def virtual_services(self) -> Iterator[tuple[Resource, VirtualService]]:
        """Yield the VirtualServices whose behaviour can be checked."""
        return (each for each in istio_objects(self.checked, VirtualService) if each[0].checkable)

    def destination_rules(self) -> Iterator[tuple[Resource, DestinationRule]]:
        return istio_objects(self.checked, DestinationRule)

    def gateways(self) -> Iterator[tuple[Resource, Gateway]]:
        """Yield the Gateways whose behaviour can be checked."""
        return (each for each in istio_objects(self.checked, Gateway) if each[0].checkable)

    def services(self) -> Iterator[tuple[Resource, Service]]:
        return kubernetes_objects(self.checked, Service)

    def workloads(self) -> Iterator[tuple[Resource, Workload]]:
        return kubernetes_objects(self.checked, Workload)

    # All objects, for look-ups.

    @cached_property
    def in_cluster(self) -> tuple[Resource, ...]:
        """The objects in the cluster after ``checked`` is applied; ``checked`` comes first."""
        return (*self.checked, *self._unchanged)

    def is_checked(self, resource: Resource) -> bool:
        """Return True for one of ``checked``."""
        return resource in self._checked

    @cached_property
    def _checked(self) -> frozenset[Resource]:
        return frozenset(self.checked)

    @cached_property
    def oldest_first(self) -> tuple[Resource, ...]:
        """The same objects; those that were in the cluster before come first."""
        return (*self._unchanged, *self.checked)

    @cached_property
    def _unchanged(self) -> tuple[Resource, ...]:
        applied = {resource.id for resource in self.checked}
        return tuple(each for each in self.existing if each.id not in applied)

    @cached_property
    def lookup_order(self) -> tuple[tuple[Resource, ...], ...]:
        """``in_cluster``, then the neighbors without other versions of the same objects."""
        known = {resource.id for resource in self.in_cluster}
        others = (tuple(it for it in group if it.id not in known) for group in self.neighbors)
        return (self.in_cluster, *others)

    @cached_property
    def everything(self) -> tuple[Resource, ...]:
        """All objects of ``lookup_order``."""
        return tuple(resource for group in self.lookup_order for resource in group)

    @cached_property
    def uses_istio(self) -> bool:
        """True if there is any object of Istio's."""
        return any(resource.id.group.endswith(ISTIO_GROUP_SUFFIX) for resource in self.everything)

    def service(self, name: ServiceName) -> Service | None:
        """Return a Service. If the tree has several with the name, return the nearest."""
        return self._services.get(name)

    def has_services_of(self, namespace: str) -> bool:
        """Return True if any Service of the namespace is known; an unknown one is then missing."""
        return namespace in self._namespaces_with_services

    @cached_property
    def _namespaces_with_services(self) -> frozenset[str]:
        return frozenset(name.namespace for name in self._services)

    @cached_property
    def _services(self) -> Mapping[ServiceName, Service]:
        found: dict[ServiceName, Service] = {}
        for group in self.lookup_order:
            services = [service for _, service in kubernetes_objects(group, Service)]
            for canary in flagger_canaries(group):
                services += canary.services
            for service in services:
                found.setdefault(ServiceName(service.namespace, service.name), service)
        return found

    def has_service_entry_of(self, host: str) -> bool:
        """Return True if a ServiceEntry defines a full host, by its name or with a wildcard."""
        names, wildcards = self._service_entry_hosts
        return host in names or any(covers_host(each, host) for each in wildcards)

    @cached_property
    def _service_entry_hosts(self) -> tuple[frozenset[str], frozenset[str]]:
        """The hosts of ServiceEntries: names, and wildcard domains."""
        hosts = frozenset(
            str(host)
            for resource in self.everything
            if resource.kind == "ServiceEntry"
            for host in list_or_empty(resource.spec.get("hosts"))
        )
        wildcards = frozenset(host for host in hosts if host.startswith("*"))
        return hosts - wildcards, wildcards

    def destination_rules_of(self, host: str) -> tuple[DestinationRule, ...]:
        """Return the DestinationRules of a full host, from the nearest group that has any."""
        found = (index.destination_rules.get(host) for index in self._indexes)
        return next(filter(None, found), ())

    @cached_property
    def _indexes(self) -> tuple[GroupIndex, ...]:
        """The indexes of the groups of ``lookup_order``."""
        return tuple(map(GroupIndex, self.lookup_order))

    @cached_property
    def _index(self) -> GroupIndex:
        """The index of ``everything``."""
        return GroupIndex(self.everything)

    def subsets(self, host: str) -> Mapping[str, Subset]:
        """Return the subsets of a full host by name."""
        return {
            subset.name: subset
            for rule in self.destination_rules_of(host)
            for subset in rule.spec.subsets
        }

    def has_invalid_destination_rule(self, host: str) -> bool:
        """Return True if the host has a DestinationRule that could not be parsed."""
        return host in self._hosts_of_invalid_rules

    @cached_property
    def _hosts_of_invalid_rules(self) -> frozenset[str]:
        return frozenset(
            expand_host(str(resource.spec.get("host")), resource.namespace)
            for resource in self.everything
            if resource.kind == "DestinationRule" and resource.istio_object is None
        )

    def pods(self, namespace: str, labels: Mapping[str, str]) -> tuple[Workload, ...]:
        """Return the workloads whose pods have all the labels, from the nearest group with any."""
        found = (index.workloads(namespace, labels) for index in self._indexes)
        return next(filter(None, found), ())

    def has_workloads_of(self, namespace: str) -> bool:
        """Return True if any workload of the namespace is known."""
        return self._index.has_workloads_of(namespace)

    def min_replicas(self, workload: Workload) -> int:
        """Return the least number of pods: an autoscaler's minimum, else the replicas."""
        scaled = (workload.namespace, workload.kind, workload.name)
        least = 1 if workload.replicas is None else workload.replicas
        if scaled in self._argo_replicas:
            # The Rollout runs the pods, from the template of the workload.
            rollout, least = self._argo_replicas[scaled]
            scaled = (workload.namespace, "Rollout", rollout)
        scalers = self.autoscalers_of(scaled)
        return scalers[0].min_replicas if scalers else least

    def autoscalers_of(self, target: tuple[str, str, str]) -> Sequence[Autoscaler]:
        """Return the autoscalers of a workload: its namespace, kind and name."""
        return self._index.autoscalers.get(target, ())

    @cached_property
    def _argo_replicas(self) -> Mapping[tuple[str, str, str], tuple[str, int]]:
        """The Rollout that runs a workload's pods in its place, and its replicas."""
        found: dict[tuple[str, str, str], tuple[str, int]] = {}
        for referenced, rollout, replicas in replicas_in_place_of(self.everything):
            found.setdefault(referenced, (rollout, replicas))
        return found

    def gateway(self, qualified: str) -> Gateway | None:
        """Return the Gateway ``namespace/name``, None if it is unknown or could not be parsed."""
        return self._gateways.get(qualified)

    @cached_property
    def _gateways(self) -> Mapping[str, Gateway]:
        found: dict[str, Gateway] = {}
        for _, gateway in istio_objects(self.everything, Gateway):
            found.setdefault(f"{gateway.namespace}/{gateway.name}", gateway)
        return found

    def has_gateway(self, qualified: str) -> bool:
        """Return True if the Gateway ``namespace/name`` is known, parsed or not."""
        return qualified in self._gateway_names

    def has_gateways_of(self, namespace: str) -> bool:
        """Return True if any Gateway of the namespace is known."""
        return namespace in self._gateway_namespaces

    @cached_property
    def _gateway_names(self) -> frozenset[str]:
        return frozenset(
            f"{each.namespace}/{each.name}"
            for each in self.everything
            if each.kind == "Gateway" and each.id.group.endswith(ISTIO_GROUP_SUFFIX)
        )

    @cached_property
    def _gateway_namespaces(self) -> frozenset[str]:
        return frozenset(name.partition("/")[0] for name in self._gateway_names)


def istio_objects(
    resources: Iterable[Resource], model: type[Model]
) -> Iterator[tuple[Resource, Model]]:
    """Yield the objects of one of Istio's kinds, without those that could not be parsed."""
    for resource in resources:
        if isinstance(resource.istio_object, model):
            yield resource, resource.istio_object


def kubernetes_objects(
    resources: Iterable[Resource], view: type[View]
) -> Iterator[tuple[Resource, View]]:
    """Yield the Services, workloads or autoscalers."""
    for resource in resources:
        if isinstance(resource.kubernetes_object, view):
            yield resource, resource.kubernetes_object
