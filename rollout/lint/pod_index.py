"""Finds pods by labels, and the Services of pods, without comparing each with each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..manifests.kubernetes import Service, Workload
from .context import kubernetes_objects
from .resource import Resource

Label = tuple[str, str]


class PodIndex:
    """The workloads and Services of some resources."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.workloads: list[tuple[Resource, Workload]] = []
        self._pods: dict[Label, list[tuple[Resource, Workload]]] = {}
        self._services: dict[Label, list[tuple[Resource, Service]]] = {}
        self._namespaces: set[str] = set()
        known = list(resources)
        for resource, workload in kubernetes_objects(known, Workload):
            self.workloads.append((resource, workload))
            self._namespaces.add(workload.namespace)
            for label in workload.labels.items():
                self._pods.setdefault(label, []).append((resource, workload))
        for resource, service in kubernetes_objects(known, Service):
            if service.selector:
                # A pod that has all labels has this one, so one entry is enough.
                self._services.setdefault(min(service.selector.items()), []).append(
                    (resource, service)
                )

    def has_pods_of(self, namespace: str) -> bool:
        return namespace in self._namespaces

    def pods(
        self, labels: Mapping[str, str], namespace: str | None = None
    ) -> Iterator[tuple[Resource, Workload]]:
        """Yield the workloads whose pods have all labels, of one namespace or of any."""
        if labels:
            found = min((self._pods.get(it, []) for it in labels.items()), key=len)
        else:
            found = self.workloads
        for resource, workload in found:
            if namespace in {None, workload.namespace} and workload.has_labels(labels):
                yield resource, workload

    def services(self, workload: Workload) -> Iterator[tuple[Resource, Service]]:
        """Yield the Services that select the pods of a workload."""
        for label in workload.labels.items():
            for resource, service in self._services.get(label, ()):
                if service.namespace == workload.namespace and workload.has_labels(
                    service.selector
                ):
                    yield resource, service

    def services_selecting(self, labels: Mapping[str, str]) -> Iterator[tuple[Resource, Service]]:
        """Yield the Services whose selector demands all of the labels, pods known or not."""
        for label in labels.items():
            for resource, service in self._services.get(label, ()):
                if labels.items() <= service.selector.items():
                    yield resource, service
