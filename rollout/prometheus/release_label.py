"""Choose the metric label that tells the two releases apart. Pure."""

from __future__ import annotations

from typing import Final

from ..lint.resource import Resource
from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.hosts import ServiceName, expand_host, service_of
from ..manifests.kubernetes import Workload
from ..plan.loading import LoadedPlan
from ..plan.model import Plan
from ..plan.plan_file import PlanInvalid
from .query import ReleaseLabel

#: The labels that may hold a release's version; the first one present is used.
_VERSION: Final = ("app.kubernetes.io/version", "version")
_REMEDY: Final = "say it with --label NAME=STABLE,CANARY"


def service_of_plan(plan: Plan) -> ServiceName:
    """Return the Service whose subsets are the releases; raise PlanInvalid if there is none."""
    for rule in plan.steps[-1].routes.spec.http:
        for each in rule.route:
            if each.destination.subset == plan.canary:
                host = expand_host(each.destination.host, plan.namespace)
                if service := service_of(host):
                    return service
                raise PlanInvalid(f"{host} is no Service of the cluster; route the canary to one")
    raise PlanInvalid(
        f"the last step sends no request to the subset {plan.canary}; add it to the step's routes"
    )


def arms_of(planned: LoadedPlan, metrics: str) -> ReleaseLabel:
    """Return the label and its values; ``metrics`` is "istio" or "app".

    Istio's metrics name the workload. The service's own metrics have a label of the subsets. Raise
    PlanInvalid if neither tells the releases apart.
    """
    plan = planned.plan
    host = service_of_plan(plan).host
    subsets = {each.name: each for each in _subsets(planned.resources, host)}
    for name in (plan.stable, plan.canary):
        if name not in subsets:
            raise PlanInvalid(f"no DestinationRule of {host} has the subset {name}; {_REMEDY}")
    stable, canary = subsets[plan.stable], subsets[plan.canary]
    if metrics == "istio":
        return ReleaseLabel(
            "destination_workload",
            _workload(planned.resources, plan.namespace, stable),
            _workload(planned.resources, plan.namespace, canary),
        )
    for label, value in stable.labels.items():
        other = canary.labels.get(label)
        if other is not None and other != value and label.isidentifier():
            return ReleaseLabel(label, value, other)
    raise PlanInvalid(
        f"no label tells the subsets {stable.name} and {canary.name} apart; {_REMEDY}"
    )


def version_of(planned: LoadedPlan, subset: str) -> str | None:
    """Return the version in the labels of a subset's pods, None if there are none or several."""
    host = service_of_plan(planned.plan).host
    selected = [
        each.kubernetes_object.labels
        for chosen in _subsets(planned.resources, host)
        if chosen.name == subset
        for each in planned.resources
        if isinstance(each.kubernetes_object, Workload)
        and each.kubernetes_object.namespace == planned.plan.namespace
        and each.kubernetes_object.has_labels(chosen.labels)
    ]
    versions = {next((of[name] for name in _VERSION if name in of), None) for of in selected}
    return versions.pop() if len(versions) == 1 else None


def _subsets(resources: tuple[Resource, ...], host: str) -> tuple[Subset, ...]:
    return tuple(
        subset
        for each in resources
        if isinstance(each.istio_object, DestinationRule)
        and expand_host(each.istio_object.spec.host, each.namespace) == host
        for subset in each.istio_object.spec.subsets
    )


def _workload(resources: tuple[Resource, ...], namespace: str, subset: Subset) -> str:
    names = [
        each.kubernetes_object.name
        for each in resources
        if isinstance(each.kubernetes_object, Workload)
        and each.kubernetes_object.namespace == namespace
        and each.kubernetes_object.has_labels(subset.labels)
    ]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise PlanInvalid(
            f"the subset {subset.name} must select one workload, not {found}; {_REMEDY}"
        )
    return names[0]
