"""Pods as the API server accepts them: containers, ports, resources, probes, volumes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.json_path import PathSegments
from ...manifests.names import is_subdomain
from ...manifests.untyped import list_or_empty, mapping_or_empty
from .fields import (
    bad,
    check_label_name,
    check_labels,
    check_least,
    check_port,
    check_port_name,
    check_target_port,
    items_of,
    missing,
)
from .quantities import parse_quantity

_RESTARTS: Final = frozenset({"Always", "OnFailure", "Never"})
_PULLS: Final = frozenset({"Always", "IfNotPresent", "Never"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS: Final = ("httpGet", "tcpSocket", "exec", "grpc")


def pod_errors(
    pod: Mapping[str, Any], path: PathSegments, claims: Iterable[str] = ()
) -> Iterator[FieldError]:
    """Yield what the API server refuses of a pod's spec at ``path``.

    ``claims`` are the volumes that a StatefulSet adds.
    """
    if not list_or_empty(pod.get("containers")):
        yield missing((*path, "containers"), "the pod has no containers", "add one")
    restart = pod.get("restartPolicy")
    if isinstance(restart, str) and restart not in _RESTARTS:
        yield bad((*path, "restartPolicy"), f'"{restart}" is not a policy', "use Always")
    account = pod.get("serviceAccountName")
    if isinstance(account, str) and account and not is_subdomain(account):
        yield bad((*path, "serviceAccountName"), f'"{account}" is not a name', "use a-z, 0-9 and -")
    yield from check_labels(pod.get("nodeSelector"), (*path, "nodeSelector"))
    yield from check_least(pod, path, "terminationGracePeriodSeconds")
    yield from check_least(pod, path, "activeDeadlineSeconds", least=1)
    volumes: set[str] = set()
    for at, volume in items_of(pod.get("volumes"), (*path, "volumes")):
        yield from _named_once(volume, at, volumes)
        sources = [name for name in volume if name != "name"]
        if len(sources) > 1:
            yield bad(at, f"the volume has {' and '.join(sources)}", "keep one of them")
    volumes.update(claims)
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for at, container in items_of(pod.get(field), (*path, field)):
            yield from _named_once(container, at, names)
            yield from _container_errors(container, at, volumes)


def _named_once(
    each: Mapping[str, Any], path: PathSegments, names: set[str]
) -> Iterator[FieldError]:
    name = each.get("name")
    yield from check_label_name(name, (*path, "name"))
    if isinstance(name, str):
        if name in names:
            yield bad((*path, "name"), f'another one is named "{name}"', "rename one of them")
        names.add(name)


def _container_errors(
    container: Mapping[str, Any], path: PathSegments, volumes: set[str]
) -> Iterator[FieldError]:
    image = container.get("image")
    if not image:
        yield missing((*path, "image"), "the container has no image", "add it")
    elif isinstance(image, str) and image.strip() != image:
        yield bad((*path, "image"), "the image begins or ends with a space", "remove it")
    pull = container.get("imagePullPolicy")
    if isinstance(pull, str) and pull not in _PULLS:
        yield bad((*path, "imagePullPolicy"), f'"{pull}" is not a policy', "use IfNotPresent")
    ports: set[str] = set()
    for at, port in items_of(container.get("ports"), (*path, "ports")):
        yield from check_port(port.get("containerPort"), (*at, "containerPort"))
        yield from check_port(port.get("hostPort"), (*at, "hostPort"), 0)
        name = port.get("name")
        yield from check_port_name(name, (*at, "name"))
        if isinstance(name, str) and name in ports:
            yield bad((*at, "name"), f'another port is named "{name}"', "rename one of them")
        ports.add(str(name))
    for at, variable in items_of(container.get("env"), (*path, "env")):
        name = variable.get("name")
        if name == "" or (isinstance(name, str) and "=" in name):
            yield bad((*at, "name"), f'"{name}" is not the name of a variable', "correct it")
        if variable.get("value") and variable.get("valueFrom"):
            yield bad(at, "value and valueFrom exclude each other", "keep one of them")
    mounted: set[str] = set()
    for at, mount in items_of(container.get("volumeMounts"), (*path, "volumeMounts")):
        name, where = mount.get("name"), mount.get("mountPath")
        if isinstance(name, str) and name not in volumes:
            yield bad((*at, "name"), f'the pod has no volume "{name}"', "add it to volumes")
        if isinstance(where, str) and where in mounted:
            yield bad((*at, "mountPath"), f"another volume is mounted at {where}", "move one")
        mounted.add(str(where))
    yield from _resource_errors(container.get("resources"), (*path, "resources"))
    for name in _PROBES:
        if isinstance(container.get(name), dict):
            yield from _probe_errors(container[name], (*path, name), name)


def _resource_errors(value: Any, path: PathSegments) -> Iterator[FieldError]:
    resources = mapping_or_empty(value)
    limits = mapping_or_empty(resources.get("limits"))
    for field in ("limits", "requests"):
        for name, written in mapping_or_empty(resources.get(field)).items():
            amount = parse_quantity(written)
            if amount is not None and amount < 0:
                yield bad((*path, field, name), f"{written} is negative", "set it to 0 or more")
            most = parse_quantity(limits.get(name))
            if field == "requests" and amount is not None and most is not None and amount > most:
                yield bad(
                    (*path, field, name),
                    f"the request of {written} is above the limit of {limits[name]}",
                    "raise the limit, or lower the request",
                )


def _probe_errors(probe: Mapping[str, Any], path: PathSegments, name: str) -> Iterator[FieldError]:
    handlers = [each for each in _HANDLERS if probe.get(each) is not None]
    if len(handlers) != 1:
        yield (bad if handlers else missing)(
            path, "a probe has exactly one handler", f"use one of {', '.join(_HANDLERS)}"
        )
    for handler in ("httpGet", "tcpSocket"):
        port = mapping_or_empty(probe.get(handler)).get("port")
        yield from check_target_port(port, (*path, handler, "port"))
    yield from check_port(mapping_or_empty(probe.get("grpc")).get("port"), (*path, "grpc", "port"))
    yield from check_least(
        probe, path, "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"
    )
    success = probe.get("successThreshold", 1)
    if name != "readinessProbe" and isinstance(success, int) and success > 1:
        yield bad((*path, "successThreshold"), f"a {name} needs exactly one success", "remove it")
