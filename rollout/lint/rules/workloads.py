"""Rules for workloads and for the policies that select them by labels. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.kinds import ISTIO_GROUP_SUFFIX
from ...manifests.untyped import list_or_empty, mapping_or_empty
from ..argo_rollout import ARGO_GROUP
from ..context import LintContext
from ..findings import Severity
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule
from ..visibility import ROOT_NAMESPACE

_SELECTING: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
#: The user that Istio's sidecar runs as.
_PROXY_USER: Final = 1337


def _template(workload: Resource) -> Mapping[str, Any]:
    if workload.kind == "Pod":
        return workload.document
    return mapping_or_empty(workload.spec.get("template"))


def selector_mismatch(context: LintContext) -> Iterator[Problem]:
    for resource in context.checked:
        is_rollout = (resource.id.group, resource.kind) == (ARGO_GROUP, "Rollout")
        if not is_rollout and (resource.id.group, resource.kind) not in _APPS:
            continue
        selector = mapping_or_empty(resource.spec.get("selector"))
        if not selector or "template" not in resource.spec:
            continue
        metadata = mapping_or_empty(_template(resource).get("metadata"))
        labels = mapping_or_empty(metadata.get("labels"))
        for path, wanted in _unmet(selector, labels):
            refuser = "the controller refuses it" if is_rollout else "the API server refuses it"
            yield Problem(
                resource,
                f"spec.selector.{path}",
                f"the selector demands {wanted}, but the pods' template has"
                f" {_render(labels) or 'no labels'}: {refuser}",
                "give the template the labels of the selector",
            )


_APPS: Final = frozenset(("apps", kind) for kind in _SELECTING)


def _unmet(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in mapping_or_empty(selector.get("matchLabels")).items():
        if labels.get(key) != value:
            yield f"matchLabels.{key}", f"{key}={value}"
    for index, each in enumerate(list_or_empty(selector.get("matchExpressions"))):
        rule = mapping_or_empty(each)
        key, operator = str(rule.get("key")), rule.get("operator")
        values = list_or_empty(rule.get("values"))
        met = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }.get(str(operator), True)
        if not met:
            yield f"matchExpressions[{index}]", f"{key} {operator} {', '.join(map(str, values))}"


def _render(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


#: Istio's kinds that select pods, with the path of their labels.
_POLICIES: Final = {
    "AuthorizationPolicy": ("selector", "matchLabels"),
    "PeerAuthentication": ("selector", "matchLabels"),
    "RequestAuthentication": ("selector", "matchLabels"),
    "Telemetry": ("selector", "matchLabels"),
    "WasmPlugin": ("selector", "matchLabels"),
    "EnvoyFilter": ("workloadSelector", "labels"),
    "Sidecar": ("workloadSelector", "labels"),
    "DestinationRule": ("workloadSelector", "matchLabels"),
}


def _policy_labels(resource: Resource) -> tuple[str, Mapping[str, str]] | None:
    """Return the path and the labels of a policy's selector, None if it is no policy."""
    fields = _POLICIES.get(resource.kind)
    if fields is None or not resource.id.group.endswith(ISTIO_GROUP_SUFFIX):
        return None
    labels = mapping_or_empty(mapping_or_empty(resource.spec.get(fields[0])).get(fields[1]))
    return f"spec.{'.'.join(fields)}", {str(key): str(value) for key, value in labels.items()}


def policy_without_pods(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.everything)
    for resource in context.checked:
        selected = _policy_labels(resource)
        if selected is None or not selected[1] or not index.has_pods_of(resource.namespace):
            continue
        path, labels = selected
        # In the root namespace, most policies select the pods of all namespaces.
        scope = None if resource.namespace == ROOT_NAMESPACE else resource.namespace
        if next(index.pods(labels, scope), None) is None:
            yield Problem(
                resource,
                path,
                f"no pod of namespace {resource.namespace} has the labels {_render(labels)}, so the"
                f" {resource.kind} applies to nothing",
                "correct the labels",
            )


def policies_overlap(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.everything)
    whole: dict[tuple[str, str], Resource] = {}
    by_pod: dict[tuple[str, Resource], Resource] = {}
    for resource in context.oldest_first:
        selected = _policy_labels(resource) if resource.kind in {"Sidecar", "Telemetry"} else None
        if selected is None or "targetRef" in resource.spec or "targetRefs" in resource.spec:
            continue
        labels = selected[1]
        if labels:
            pods = [
                (it, f"the pods of {it.name}") for it, _ in index.pods(labels, resource.namespace)
            ]
            found = [(by_pod.setdefault((resource.kind, it), resource), name) for it, name in pods]
        else:
            other = whole.setdefault((resource.kind, resource.namespace), resource)
            found = [(other, f"all pods of namespace {resource.namespace}")]
        for other, name in found:
            if other is not resource and context.is_checked(resource):
                yield Problem(
                    resource,
                    selected[0] if labels else "",
                    f"{resource.kind} {other.name} is for {name} too, and only one of the two"
                    " applies",
                    "merge them, or let them select different pods",
                )
                break


def proxy_user(context: LintContext) -> Iterator[Problem]:
    if not context.uses_istio:
        return
    for resource, _ in context.workloads():
        is_pod = resource.kind == "Pod"
        base = "spec" if is_pod else "spec.template.spec"
        pod = mapping_or_empty(_template(resource).get("spec"))
        contexts = [(f"{base}.securityContext.runAsUser", pod.get("securityContext"))]
        for index, each in enumerate(list_or_empty(pod.get("containers"))):
            container = mapping_or_empty(each)
            if container.get("name") != "istio-proxy":
                path = f"{base}.containers[{index}].securityContext.runAsUser"
                contexts.append((path, container.get("securityContext")))
        for path, settings in contexts:
            if mapping_or_empty(settings).get("runAsUser") == _PROXY_USER:
                yield Problem(
                    resource,
                    path,
                    f"user {_PROXY_USER} is the sidecar's own, whose connections are not"
                    " redirected: no route or mutual TLS applies to what this container calls",
                    "run as another user",
                )


RULES: Final = (
    Rule(
        "selector-mismatch",
        Severity.ERROR,
        "the selector of a workload must match the labels of its template",
        selector_mismatch,
    ),
    Rule(
        "policy-without-pods",
        Severity.WARNING,
        "a policy should select pods, if the input has any workload of its namespace",
        policy_without_pods,
    ),
    Rule(
        "policies-overlap",
        Severity.WARNING,
        "pods should have only one Sidecar and one Telemetry of each scope",
        policies_overlap,
    ),
    Rule(
        "proxy-user",
        Severity.WARNING,
        "no container should run as the user of Istio's sidecar",
        proxy_user,
    ),
)
