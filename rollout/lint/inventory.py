"""What is linted together, and what is known to stand beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.hosts import ServiceName, expand_host
from ..manifests.kinds import ISTIO
from ..manifests.kubernetes import Autoscaler, Service, Workload
from ..manifests.metadata import IstioObject
from ..manifests.virtual_service import VirtualService
from .delivery import argo_scaled, generated_services
from .subjects import Subject

Model = TypeVar("Model", bound=IstioObject)
View = TypeVar("View", Service, Workload, Autoscaler)


@dataclass(frozen=True)
class Inventory:
    """``own`` is judged. ``given`` is taken for granted, as if it were in the cluster.

    ``around`` is what stands beside it in the tree, the nearest directory first: there a reference
    is looked up that ``own`` and ``given`` leave open, because a tree is often applied in parts.
    """

    own: tuple[Subject, ...]
    given: tuple[Subject, ...] = ()
    around: tuple[tuple[Subject, ...], ...] = ()

    # What is judged.

    def virtual_services(self) -> Iterator[tuple[Subject, VirtualService]]:
        """Yield the VirtualServices that are whole enough to be judged."""
        return (each for each in models(self.own, VirtualService) if each[0].judged)

    def destination_rules(self) -> Iterator[tuple[Subject, DestinationRule]]:
        return models(self.own, DestinationRule)

    def gateways(self) -> Iterator[tuple[Subject, Gateway]]:
        """Yield the Gateways that are whole enough to be judged."""
        return (each for each in models(self.own, Gateway) if each[0].judged)

    def services(self) -> Iterator[tuple[Subject, Service]]:
        return views(self.own, Service)

    def workloads(self) -> Iterator[tuple[Subject, Workload]]:
        return views(self.own, Workload)

    # What is looked up.

    @cached_property
    def present(self) -> tuple[Subject, ...]:
        """What the cluster has once ``own`` is applied over ``given``."""
        return (*self.own, *self._left)

    @cached_property
    def oldest_first(self) -> tuple[Subject, ...]:
        """The same, what was there before in front."""
        return (*self._left, *self.own)

    @cached_property
    def _left(self) -> tuple[Subject, ...]:
        applied = {subject.identity for subject in self.own}
        return tuple(each for each in self.given if each.identity not in applied)

    @cached_property
    def rings(self) -> tuple[tuple[Subject, ...], ...]:
        """``present`` first, then what is around it, without other versions of the same objects."""
        here = {subject.identity for subject in self.present}
        others = (tuple(each for each in ring if each.identity not in here) for ring in self.around)
        return (self.present, *others)

    @cached_property
    def everything(self) -> tuple[Subject, ...]:
        return tuple(subject for ring in self.rings for subject in ring)

    @cached_property
    def meshed(self) -> bool:
        """Whether any of Istio's objects is in sight."""
        return any(subject.identity.group.endswith(ISTIO) for subject in self.everything)

    def service(self, name: ServiceName) -> Service | None:
        """Return a Service, the nearest if the tree has several of that name."""
        return self._services.get(name)

    def describes_services(self, namespace: str) -> bool:
        """Tell whether any Service of a namespace is known: then one that isn't is missing."""
        return any(name.namespace == namespace for name in self._services)

    @cached_property
    def _services(self) -> Mapping[ServiceName, Service]:
        found: dict[ServiceName, Service] = {}
        for ring in self.rings:
            for _, service in views(ring, Service):
                found.setdefault(ServiceName(service.namespace, service.name), service)
            for name, service in generated_services(ring):
                found.setdefault(name, service)
        return found

    @cached_property
    def foreign_hosts(self) -> frozenset[str]:
        """Hosts of ServiceEntries: refused themselves, but known."""
        return frozenset(
            str(host)
            for subject in self.everything
            if subject.kind == "ServiceEntry"
            for host in _list(subject.spec.get("hosts"))
        )

    def rules_for(self, host: str) -> tuple[tuple[Subject, DestinationRule], ...]:
        """Return the DestinationRules of a full host, the nearest ring that has any."""
        for ring in self.rings:
            found = tuple(
                (subject, rule)
                for subject, rule in models(ring, DestinationRule)
                if expand_host(rule.spec.host, rule.namespace) == host
            )
            if found:
                return found
        return ()

    def unreadable_rule_for(self, host: str) -> bool:
        """Tell whether a DestinationRule of the host is there that can't be read."""
        return any(
            subject.kind == "DestinationRule"
            and subject.manifest is None
            and expand_host(str(subject.spec.get("host")), subject.namespace) == host
            for subject in self.everything
        )

    def pods(self, namespace: str, labels: Mapping[str, str]) -> tuple[Workload, ...]:
        """Return whose pods carry all the labels, the nearest ring that has any."""
        for ring in self.rings:
            found = tuple(
                workload
                for _, workload in views(ring, Workload)
                if workload.namespace == namespace and workload.carries(labels)
            )
            if found:
                return found
        return ()

    def describes_pods(self, namespace: str) -> bool:
        """Tell whether anything that runs pods in a namespace is known."""
        return any(
            workload.namespace == namespace for _, workload in views(self.everything, Workload)
        )

    def replicas(self, workload: Workload) -> int:
        """Return how many pods it has at least: an autoscaler's minimum goes first."""
        scaled = (workload.namespace, workload.kind, workload.name)
        least = 1 if workload.replicas is None else workload.replicas
        for referred, rollout, replicas in argo_scaled(self.everything):
            if referred == scaled:
                # The pods are of the workload's template, and the Rollout runs them.
                scaled, least = (workload.namespace, "Rollout", rollout), replicas
                break
        for _, scaler in views(self.everything, Autoscaler):
            if scaler.scales == scaled:
                return scaler.min_replicas
        return least

    def gateway(self, qualified: str) -> Gateway | None:
        """Return a Gateway by ``namespace/name``."""
        for _, gateway in models(self.everything, Gateway):
            if f"{gateway.namespace}/{gateway.name}" == qualified:
                return gateway
        return None

    def has_gateway(self, qualified: str) -> bool:
        """Tell whether a Gateway is there, readable or not."""
        return any(
            f"{subject.namespace}/{subject.name}" == qualified
            for subject in self.everything
            if _is_gateway(subject)
        )

    def describes_gateways(self, namespace: str) -> bool:
        return any(
            subject.namespace == namespace for subject in self.everything if _is_gateway(subject)
        )


def models(subjects: Iterable[Subject], model: type[Model]) -> Iterator[tuple[Subject, Model]]:
    """Yield the objects that were read as one of Istio's kinds, as far as they could be."""
    for subject in subjects:
        if isinstance(subject.manifest, model):
            yield subject, subject.manifest


def views(subjects: Iterable[Subject], view: type[View]) -> Iterator[tuple[Subject, View]]:
    """Yield the objects that were read as one of Kubernetes' kinds."""
    for subject in subjects:
        if isinstance(subject.view, view):
            yield subject, subject.view


def _is_gateway(subject: Subject) -> bool:
    return subject.kind == "Gateway" and subject.identity.group.endswith(ISTIO)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
