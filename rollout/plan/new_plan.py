"""A first plan for a service that has none: its canary, subsets and steps, as commented files."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ..lint.resource import Resource
from ..manifests.kubernetes import Service, Workload
from ..manifests.untyped import mapping_or_empty
from .loading import LoadedPlan
from .plan_file import PlanInvalid

PERCENTAGES: Final = (0, 1, 5, 25, 50, 100)
#: The label that tells the releases apart, where the pods have no version that could.
_TRACK: Final = "track"
_VERSION: Final = "version"
#: What only the cluster writes.
_SERVER_FIELDS: Final = frozenset(
    {"creationTimestamp", "generation", "managedFields", "ownerReferences", "resourceVersion"}
    | {"selfLink", "uid", "deletionTimestamp", "finalizers"}
)
_SERVER_ANNOTATIONS: Final = ("kubectl.kubernetes.io/", "deployment.kubernetes.io/")
_PLAN: Final = """\
# A rollout of {what}: tallykv-rollout lint, rehearse, plan and run read this file.
strategy: canary
# {releases}
stable: {stable}
canary: {canary}
# What the cluster has before the rollout. It is looked things up in, and never changed.
prerequisites: [prerequisites.yaml]
# The least time at each step, and the most time of all of them.
stepTime: 2m
deadline: 2h
objective:
  # A release that fails more of its requests than this is not promoted.
  errorRatio: 0.01
  # The latencies at which the releases are compared: bucket bounds of the histogram in Prometheus.
  slow: [100ms, 250ms, 500ms, 1s]
"""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """``files`` are texts by their path in the directory; ``notes`` are for the person."""

    files: Mapping[str, str]
    notes: tuple[str, ...]


def plan_for_deployment(
    resources: Sequence[Resource], name: str | None, hosts: Sequence[str], gateways: Sequence[str]
) -> NewPlan:
    """Return a plan for a Deployment; ``name`` chooses one of several. Raise PlanInvalid.

    ``hosts`` and ``gateways`` (``NAMESPACE/NAME``) are where clients outside the mesh come in.
    """
    deployment = _chosen(resources, name)
    workload = deployment.kubernetes_object
    assert isinstance(workload, Workload)  # noqa: S101 - chosen as one
    service = _service_of(resources, workload)
    label = _VERSION if _is_free(_VERSION, workload, service) else _TRACK
    if label == _VERSION:
        old, new = workload.labels[_VERSION], f"{workload.labels[_VERSION]}-canary"
    else:
        old, new = workload.labels.get(_TRACK, "stable"), "canary"
    _refuse_routes(resources, service)
    files = {
        "plan.yaml": _PLAN.format(
            what=f"Deployment {workload.namespace}/{workload.name}",
            releases="The subsets of the DestinationRule in 2-subsets.",
            stable="stable",
            canary="canary",
        ),
        "prerequisites.yaml": _text(
            "What the cluster has: keep it so, or name your own manifests in plan.yaml.",
            *(cleaned(each.document) for each in resources if each is not deployment),
            *([cleaned(deployment.document)] if label == _VERSION else []),
        ),
        "1-workloads/canary.yaml": _text(
            "The new release: put its image here. Apply it first, and wait until its pods are"
            " ready.",
            _canary(deployment, label, new),
        ),
        "2-subsets/destinationrule.yaml": _text(
            f"What tells the releases apart: the label {label} of their pods.",
            _destination_rule(service, label, old, new),
        ),
    }
    notes = [f"put the new release's image into 1-workloads/canary.yaml; it is {workload.name}'s"]
    if label == _TRACK and _TRACK not in workload.labels:
        files["1-workloads/stable.yaml"] = _text(
            f"The old release as it is, with the label {_TRACK} on its pods: they are replaced"
            " once.",
            _labelled(deployment, _TRACK, old),
        )
        notes.append(
            f"1-workloads/stable.yaml adds the label {_TRACK}, which replaces its pods once"
        )
    for percent in PERCENTAGES:
        files[f"steps/{percent:02}/routes.yaml"] = _text(
            _step_comment(percent), _virtual_service(service, percent, hosts, gateways)
        )
    if not gateways:
        notes.append("only callers in the mesh are routed: give --gateway and --host for others")
    return NewPlan(_with_kustomizations(files), tuple(notes))


def plan_of_controller(loaded: LoadedPlan) -> NewPlan:
    """Return the steps that Flagger's Canary or Argo's Rollout would take, as a plan."""
    plan = loaded.plan
    files = {
        "plan.yaml": _PLAN.format(
            what=f"{plan.steps[0].routes.kind} {plan.namespace}/{plan.virtual_service}",
            releases="The subsets or Services that the controller gave the releases.",
            stable=plan.stable,
            canary=plan.canary,
        ),
        "prerequisites.yaml": _text(
            "What the controller makes of your manifests. Without it, these objects are yours.",
            *(cleaned(each.document) for each in loaded.resources),
        ),
    }
    for step in plan.steps:
        percent = round((step.share or 0) * 100)
        files[f"steps/{percent:02}/routes.yaml"] = _text(
            _step_comment(percent), _with_names(cleaned(step.document))
        )
    notes = (
        "weights have one owner: delete the controller's object before you run this plan",
        "its pods and Services are in prerequisites.yaml: apply them before the first step",
    )
    return NewPlan(_with_kustomizations(files), notes)


def cleaned(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without its status and without what only the cluster writes."""
    rest = copy.deepcopy({key: each for key, each in document.items() if key != "status"})
    metadata = {
        key: each
        for key, each in mapping_or_empty(rest.get("metadata")).items()
        if key not in _SERVER_FIELDS
    }
    annotations = {
        key: each
        for key, each in mapping_or_empty(metadata.pop("annotations", None)).items()
        if not str(key).startswith(_SERVER_ANNOTATIONS)
    }
    rest["metadata"] = metadata | ({"annotations": annotations} if annotations else {})
    if rest.get("kind") == "Service" and rest["spec"].get("clusterIP") != "None":
        for field in ("clusterIP", "clusterIPs"):
            rest["spec"].pop(field, None)
    return rest


def _with_names(document: dict[str, Any]) -> dict[str, Any]:
    """Name the rules of a VirtualService that have no name: run finds them by it."""
    for index, rule in enumerate(document["spec"].get("http", [])):
        rule.setdefault("name", f"rule-{index}")
    return document


def _with_kustomizations(files: Mapping[str, str]) -> dict[str, str]:
    """Add a kustomization to each directory, so that kubectl apply -k takes it."""
    names: dict[str, list[str]] = {}
    for path in files:
        directory, slash, name = path.rpartition("/")
        if slash:
            names.setdefault(directory, []).append(name)
    made = {
        f"{directory}/kustomization.yaml": yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": sorted(found),
            },
            sort_keys=False,
        )
        for directory, found in names.items()
    }
    return {**files, **made}


def _chosen(resources: Sequence[Resource], name: str | None) -> Resource:
    found = [each for each in resources if each.kind == "Deployment"]
    wanted = [each for each in found if name in {None, each.name}]
    if len(wanted) == 1:
        return wanted[0]
    names = ", ".join(each.name for each in found) or "none"
    raise PlanInvalid(f"which Deployment? There is {names}; choose one with --deployment")


def _service_of(resources: Sequence[Resource], workload: Workload) -> Service:
    found = [
        each.kubernetes_object
        for each in resources
        if isinstance(each.kubernetes_object, Service)
        and each.namespace == workload.namespace
        and each.kubernetes_object.selector
        and workload.has_labels(each.kubernetes_object.selector)
        and not each.kubernetes_object.headless
    ]
    if len(found) == 1 and found[0].ports:
        return found[0]
    names = ", ".join(each.name for each in found) or "none"
    raise PlanInvalid(
        f"one Service must select the pods of {workload.namespace}/{workload.name}; it is {names}:"
        " give that Service's manifest, too, and only it"
    )


def _is_free(label: str, workload: Workload, service: Service) -> bool:
    return label in workload.labels and label not in service.selector


def _refuse_routes(resources: Sequence[Resource], service: Service) -> None:
    for each in resources:
        if each.kind in {"VirtualService", "DestinationRule", "HTTPRoute", "GRPCRoute"}:
            raise PlanInvalid(
                f"{each.kind} {each.namespace}/{each.name} is there already: a second one beside it"
                f" would contradict it. Leave it out to get a plan for {service.name} alone, then"
                " put its rules into the steps"
            )


def _labelled(deployment: Resource, label: str, value: str) -> dict[str, Any]:
    document = cleaned(deployment.document)
    labels = document["spec"]["template"]["metadata"].setdefault("labels", {})
    labels[label] = value
    return document


def _canary(deployment: Resource, label: str, value: str) -> dict[str, Any]:
    document = _labelled(deployment, label, value)
    document["metadata"]["name"] += "-canary"
    selector = document["spec"].setdefault("selector", {}).setdefault("matchLabels", {})
    selector[label] = value
    return document


def _destination_rule(service: Service, label: str, old: str, new: str) -> dict[str, Any]:
    subsets = [("stable", old), ("canary", new)]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {
            "host": service.name,
            "subsets": [{"name": name, "labels": {label: value}} for name, value in subsets],
        },
    }


def _virtual_service(
    service: Service, percent: int, hosts: Sequence[str], gateways: Sequence[str]
) -> dict[str, Any]:
    destination = {"host": service.name, "port": {"number": service.ports[0].number}}
    shares = [("stable", 100 - percent), ("canary", percent)]
    route = [
        {"destination": {**destination, "subset": subset}, "weight": weight}
        for subset, weight in shares
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {
            "hosts": [service.name, *hosts],
            **({"gateways": [*gateways, "mesh"]} if gateways else {}),
            "http": [{"name": "all", "route": route, "retries": {"attempts": 0}}],
        },
    }


def _step_comment(percent: int) -> str:
    if percent == 0:
        return "A rollback applies this step: the canary gets no requests. Apply it by hand once."
    return f"{percent} % of the requests go to the canary."


def _text(comment: str, *documents: Mapping[str, Any]) -> str:
    return "".join(_lines(comment, documents))


def _lines(comment: str, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"# {comment}\n"
    for index, each in enumerate(documents):
        yield ("---\n" if index else "") + yaml.safe_dump(each, sort_keys=False)
