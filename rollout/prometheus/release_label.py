"""Choose the metric label that tells the two releases apart. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..evidence.counts import Arm
from ..lint.resource import Resource
from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.hosts import ServiceName, expand_host, service_of
from ..manifests.kubernetes import Service, Workload
from ..manifests.weighted_rules import WeightedHost, weighted_rules
from ..plan.loading import LoadedPlan
from ..plan.model import Plan
from ..plan.plan_file import PlanInvalid
from .query import SERVICE_LABEL, ReleaseLabel

#: The labels that may hold a release's version; the first one present is used.
_VERSION: Final = ("app.kubernetes.io/version", "version")
_REMEDY: Final = "say it with --label NAME=STABLE,CANARY"


def service_of_plan(plan: Plan) -> ServiceName:
    """Return the Service that the canary is, or of whose subsets it is one; raise PlanInvalid."""
    return _service_of(_canary_destination(plan).host, plan)


def services_of_plan(plan: Plan) -> list[ServiceName]:
    """Return the Service of the subsets, or those that the releases are; raise PlanInvalid."""
    if not _are_services(plan):
        return [service_of_plan(plan)]
    names = [plan.stable, plan.canary, *([] if plan.baseline is None else [plan.baseline])]
    services = [_service_of(each, plan) for each in names]
    if len({each.namespace for each in services}) > 1:
        raise PlanInvalid(f"the Services of the releases are in two namespaces; {_REMEDY}")
    return services


def arms_of(planned: LoadedPlan, metrics: str) -> ReleaseLabel:
    """Return the label and its values; ``metrics`` is "istio" or "app".

    Istio's metrics name the Service and the workload. The service's own metrics have a label of the
    subsets, or of the Services' selectors. Raise PlanInvalid if none tells the releases apart.
    """
    plan = planned.plan
    names = [plan.stable, plan.canary, *([] if plan.baseline is None else [plan.baseline])]
    stable, canary, *baseline = (_labels_of(planned, name) for name in names)
    if metrics == "istio":
        if _are_services(plan):
            return ReleaseLabel(SERVICE_LABEL, *(each.name for each in services_of_plan(plan)))
        return ReleaseLabel(
            "destination_workload",
            _workload(planned, plan.stable, stable),
            _workload(planned, plan.canary, canary),
            *(
                _workload(planned, name, labels)
                for name, labels in zip(names[2:], baseline, strict=True)
            ),
        )
    for label, value in stable.items():
        values = [value, *(labels[label] for labels in (canary, *baseline) if label in labels)]
        if len(set(values)) == len(names) and label.isidentifier():
            return ReleaseLabel(label, *values)
    raise PlanInvalid(f"no label tells {plan.stable} and {plan.canary} apart; {_REMEDY}")


def version_of(planned: LoadedPlan, release: str) -> str | None:
    """Return the version in the labels of a release's pods, None if there are none or several."""
    try:
        labels = _labels_of(planned, release)
    except PlanInvalid:
        return None
    selected = [each.labels for each in _workloads(planned, labels)]
    versions = {next((of[name] for name in _VERSION if name in of), None) for of in selected}
    return versions.pop() if len(versions) == 1 else None


def _canary_destination(plan: Plan) -> WeightedHost:
    for routes in plan.steps[-1].all_routes:
        for rule in weighted_rules(routes):
            for each in rule.destinations:
                if plan.releases.arm_of(each.host, each.subset) is Arm.CANARY:
                    return each
    raise PlanInvalid(
        f"the last step sends no request to the subset or Service {plan.canary}; add it to the"
        " step's routes"
    )


def _are_services(plan: Plan) -> bool:
    return _canary_destination(plan).subset != plan.canary


def _service_of(host: str, plan: Plan) -> ServiceName:
    full = expand_host(host, plan.namespace)
    if service := service_of(full):
        return service
    raise PlanInvalid(f"{full} is no Service of the cluster; route the canary to one")


def _labels_of(planned: LoadedPlan, release: str) -> Mapping[str, str]:
    """Return the labels that select a release's pods, besides those of a subset's Service."""
    plan = planned.plan
    if _are_services(plan):
        wanted = _service_of(release, plan)
        for each in planned.resources:
            found = each.kubernetes_object
            if isinstance(found, Service) and (found.namespace, found.name) == wanted:
                return found.selector
        raise PlanInvalid(f"the Service {wanted.host} is not among the manifests; {_REMEDY}")
    host = service_of_plan(plan).host
    for subset in _subsets(planned.resources, host):
        if subset.name == release:
            return subset.labels
    raise PlanInvalid(f"no DestinationRule of {host} has the subset {release}; {_REMEDY}")


def _subsets(resources: tuple[Resource, ...], host: str) -> Iterator[Subset]:
    return (
        subset
        for each in resources
        if isinstance(each.istio_object, DestinationRule)
        and expand_host(each.istio_object.spec.host, each.namespace) == host
        for subset in each.istio_object.spec.subsets
    )


def _workloads(planned: LoadedPlan, labels: Mapping[str, str]) -> list[Workload]:
    return [
        each.kubernetes_object
        for each in planned.resources
        if isinstance(each.kubernetes_object, Workload)
        and each.kubernetes_object.namespace == planned.plan.namespace
        and each.kubernetes_object.has_labels(labels)
    ]


def _workload(planned: LoadedPlan, release: str, labels: Mapping[str, str]) -> str:
    names = [each.name for each in _workloads(planned, labels)]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise PlanInvalid(f"the subset {release} must select one workload, not {found}; {_REMEDY}")
    return names[0]
