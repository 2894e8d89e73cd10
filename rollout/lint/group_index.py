"""Look-ups in a group of objects, each in constant time however many objects there are. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from ..manifests.destination_rule import DestinationRule
from ..manifests.hosts import expand_host
from ..manifests.kubernetes import Autoscaler, Workload
from .resource import Resource


class GroupIndex:
    """Indexes of some objects by what rules ask for; each is built when it is first used."""

    def __init__(self, resources: tuple[Resource, ...]) -> None:
        self.resources = resources

    @cached_property
    def destination_rules(self) -> Mapping[str, tuple[DestinationRule, ...]]:
        """The DestinationRules by their full host."""
        found: defaultdict[str, list[DestinationRule]] = defaultdict(list)
        for resource in self.resources:
            rule = resource.istio_object
            if isinstance(rule, DestinationRule):
                found[expand_host(rule.spec.host, rule.namespace)].append(rule)
        return {host: tuple(rules) for host, rules in found.items()}

    @cached_property
    def _workloads(self) -> Mapping[str, list[Workload]]:
        found: defaultdict[str, list[Workload]] = defaultdict(list)
        for resource in self.resources:
            if isinstance(resource.kubernetes_object, Workload):
                found[resource.kubernetes_object.namespace].append(resource.kubernetes_object)
        return found

    @cached_property
    def _by_label(self) -> Mapping[tuple[str, str, str], list[Workload]]:
        found: defaultdict[tuple[str, str, str], list[Workload]] = defaultdict(list)
        for namespace, workloads in self._workloads.items():
            for workload in workloads:
                for key, value in workload.labels.items():
                    found[namespace, key, value].append(workload)
        return found

    def has_workloads_of(self, namespace: str) -> bool:
        return namespace in self._workloads

    def workloads(self, namespace: str, labels: Mapping[str, str]) -> tuple[Workload, ...]:
        """Return the workloads whose pods have all the labels, in the order of the input."""
        candidates = self._workloads.get(namespace, [])
        for key, value in labels.items():
            candidates = min(candidates, self._by_label.get((namespace, key, value), []), key=len)
        return tuple(each for each in candidates if each.has_labels(labels))

    @cached_property
    def autoscalers(self) -> Mapping[tuple[str, str, str], list[Autoscaler]]:
        """The autoscalers by the namespace, kind and name of the workload that they scale."""
        found: defaultdict[tuple[str, str, str], list[Autoscaler]] = defaultdict(list)
        for resource in self.resources:
            if isinstance(resource.kubernetes_object, Autoscaler):
                found[resource.kubernetes_object.target].append(resource.kubernetes_object)
        return found
