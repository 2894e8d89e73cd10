"""Rules for workloads and for the policies that select them by labels. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.kinds import ISTIO_GROUP_SUFFIX
from ...manifests.untyped import list_or_empty, mapping_or_empty
from ..api_server.fields import selects
from ..argo_rollout import rollouts
from ..context import LintContext
from ..findings import Severity
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule
from ..visibility import ROOT_NAMESPACE

#: The user that Istio's sidecar runs as.
_PROXY_USER: Final = 1337


def _template(workload: Resource) -> Mapping[str, Any]:
    if workload.kind == "Pod":
        return workload.document
    return mapping_or_empty(workload.spec.get("template"))


def selector_mismatch(context: LintContext) -> Iterator[Problem]:
    # The API server compares the selectors of its own kinds, see lint/api_server.
    for resource in rollouts(context.checked):
        selector = resource.spec.get("selector")
        if not selector or "template" not in resource.spec:
            continue
        metadata = mapping_or_empty(_template(resource).get("metadata"))
        labels = mapping_or_empty(metadata.get("labels"))
        if not selects(selector, labels):
            yield Problem(
                resource,
                "spec.selector",
                "the selector does not match the template, whose labels are"
                f" {_render(labels) or 'none'}: the controller refuses the Rollout",
                "give the template the labels of the selector",
            )


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
        "the selector of a Rollout must match the labels of its template",
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
