"""What the API server refuses, by kind. Pure.

https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.names import is_kubernetes_label, is_label_key, is_subdomain
from ...manifests.untyped import mapping_or_empty
from .configuration import config_errors, network_policy_errors
from .fields import bad, check_labels
from .jobs import cron_job_errors, job_errors
from .pods import pod_errors
from .services import ingress_errors, service_errors
from .storage import claim_errors
from .workloads import LONG_RUNNING, autoscaler_errors, budget_errors, workload_errors

Check = Callable[[Mapping[str, Any]], Iterator[FieldError]]


def _errors_of_pod(document: Mapping[str, Any]) -> Iterator[FieldError]:
    return pod_errors(mapping_or_empty(document.get("spec")), ("spec",))


_CHECKS: Final[Mapping[tuple[str, str], Check]] = {
    ("", "ConfigMap"): config_errors,
    ("", "PersistentVolumeClaim"): claim_errors,
    ("", "Pod"): _errors_of_pod,
    ("", "Secret"): config_errors,
    ("", "Service"): service_errors,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaler_errors,
    ("batch", "CronJob"): cron_job_errors,
    ("batch", "Job"): job_errors,
    ("networking.k8s.io", "Ingress"): ingress_errors,
    ("networking.k8s.io", "NetworkPolicy"): network_policy_errors,
    ("policy", "PodDisruptionBudget"): budget_errors,
    **{("apps", kind): workload_errors for kind in LONG_RUNNING},
}
#: Kinds whose names are DNS labels, without dots.
_LABELLED: Final = frozenset({("", "Service"), ("", "Namespace")})
_RBAC: Final = "rbac.authorization.k8s.io"
_MAX_ANNOTATIONS_BYTES: Final = 256 * 1024


def api_server_errors(group: str, kind: str, document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of an object, besides what its schema says."""
    yield from _metadata_errors(group, kind, mapping_or_empty(document.get("metadata")))
    if check := _CHECKS.get((group, kind)):
        yield from check(document)


def _metadata_errors(group: str, kind: str, metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if isinstance(name, str) and name:
        if group == _RBAC:
            valid = "/" not in name and "%" not in name and name not in {".", ".."}
        else:
            valid = (is_kubernetes_label if (group, kind) in _LABELLED else is_subdomain)(name)
        if not valid:
            yield bad(
                ("metadata", "name"),
                f'"{name}" is not a name of a {kind}',
                "use a-z, 0-9 and -; begin and end with a letter or a digit",
            )
    if isinstance(namespace, str) and namespace and not is_kubernetes_label(namespace):
        yield bad(
            ("metadata", "namespace"), f'"{namespace}" is not a namespace', "use a-z, 0-9 and -"
        )
    yield from check_labels(metadata.get("labels"), ("metadata", "labels"))
    annotations = mapping_or_empty(metadata.get("annotations"))
    for key in annotations:
        if not is_label_key(key.lower()):
            at = ("metadata", "annotations", key)
            yield bad(at, f'"{key}" is not the key of an annotation', "write NAME or DOMAIN/NAME")
    if sum(len(key) + len(str(each)) for key, each in annotations.items()) > _MAX_ANNOTATIONS_BYTES:
        yield bad(("metadata", "annotations"), "the annotations exceed 256 KiB", "shorten them")
