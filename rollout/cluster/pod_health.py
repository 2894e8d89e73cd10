"""Whether a Deployment's pods are ready, and what Kubernetes says if they are not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..runner.workloads import Pods

#: Kubernetes' own default of spec.progressDeadlineSeconds.
_DEADLINE_SECONDS: Final = 600
_MAX_NAMED: Final = 3


def judge_pods(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Pods:
    """Say whether all pods that the Deployment should have run its template and are available.

    ``pods`` are those of its selector; they are only needed if ``is_complete`` is False.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    deadline = float(spec.get("progressDeadlineSeconds") or _DEADLINE_SECONDS)
    if is_complete(deployment):
        return Pods(ready=True, deadline_seconds=deadline)
    name, wanted = deployment["metadata"]["name"], spec.get("replicas", 1)
    ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if not _is_observed(deployment):
        ready = 0
    why = "; ".join(sorted(set(_reasons(pods)))[:_MAX_NAMED]) or _condition(status)
    detail = f"{ready} of {wanted} pods of Deployment {name} are ready"
    return Pods(
        ready=False,
        detail=f"{detail}: {why}" if why else detail,
        hopeless=_is_observed(deployment) and _gave_up(status),
        deadline_seconds=deadline,
    )


def is_complete(deployment: Mapping[str, Any]) -> bool:
    """Return True if no pod is missing or old, as of the last change of the Deployment."""
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    return (
        _is_observed(deployment)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
        and status.get("replicas", 0) <= status.get("updatedReplicas", 0)
    )


def _is_observed(deployment: Mapping[str, Any]) -> bool:
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    return int(observed) >= int(deployment["metadata"].get("generation", 0))


def _gave_up(status: Mapping[str, Any]) -> bool:
    return any(each.get("reason") == "ProgressDeadlineExceeded" for each in _conditions(status))


def _condition(status: Mapping[str, Any]) -> str:
    """Return what the Deployment says of pods that were not made, such as an exceeded quota."""
    failing = [
        str(each.get("message") or each.get("reason"))
        for each in _conditions(status)
        if each.get("type") == "ReplicaFailure" and each.get("status") == "True"
    ]
    return failing[0] if failing else ""


def _conditions(status: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return status.get("conditions") or []


def _reasons(pods: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield why pods are not ready, the same words for the same trouble of several pods."""
    for pod in pods:
        status = pod.get("status") or {}
        if status.get("phase") == "Failed":
            yield _sentence(str(status.get("reason") or "a pod failed"), status.get("message"))
            continue
        for each in status.get("conditions") or []:
            if each.get("type") == "PodScheduled" and each.get("status") == "False":
                yield _sentence(str(each.get("reason")), each.get("message"))
        containers = [
            *(status.get("initContainerStatuses") or []),
            *(status.get("containerStatuses") or []),
        ]
        for each in containers:
            if found := _container(each):
                yield found


def _container(status: Mapping[str, Any]) -> str:
    name = status.get("name")
    state = status.get("state") or {}
    if waiting := state.get("waiting"):
        if waiting.get("reason") in {None, "ContainerCreating", "PodInitializing"}:
            return ""
        ended = (status.get("lastState") or {}).get("terminated") or {}
        last = f"last exit {ended.get('reason')}, code {ended.get('exitCode')}" if ended else ""
        return _sentence(f"container {name}: {waiting['reason']}", last or waiting.get("message"))
    if ended := state.get("terminated"):
        return f"container {name}: {ended.get('reason')}, exit code {ended.get('exitCode')}"
    return "" if status.get("ready") else f"container {name} runs and is not ready"


def _sentence(reason: str, message: Any) -> str:
    return f"{reason} ({message})" if message else reason
