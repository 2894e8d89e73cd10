"""The environment variables that a container would have in its pod, read from manifests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .applied_manifests import Document, namespace_of

_MAP_FIELD: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
#: ``$(NAME)``, or ``$$`` for a literal dollar sign.
_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The fields of a pod that the downward API can expose."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of a Secret. Its value is unknown: manifests contain no Secrets."""

    namespace: str
    name: str
    key: str


@dataclass(slots=True)
class ContainerEnvironment:
    """A container's variables.

    ``secrets`` has the variables whose value is in a Secret. ``unknown`` names the variables, or
    the whole sources, whose values are not in the manifests.
    """

    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, SecretKey] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


class ConfigMaps:
    """The data of the ConfigMaps among some documents."""

    def __init__(self, documents: tuple[Document, ...]) -> None:
        self._data = {
            (namespace_of(each), each["metadata"]["name"]): each.get("data") or {}
            for each in documents
            if each["kind"] == "ConfigMap"
        }

    def get(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self._data.get((namespace, name))


def read_environment(
    container: Mapping[str, Any], pod: PodIdentity, config_maps: ConfigMaps
) -> ContainerEnvironment:
    """Resolve a container's ``envFrom`` and ``env``; ``env`` overrides ``envFrom``."""
    found = ContainerEnvironment()
    for each in container.get("envFrom") or ():
        _add_env_from(each, pod, config_maps, found)
    for each in container.get("env") or ():
        name, source = each["name"], each.get("valueFrom")
        if source is None:
            found.variables[name] = _expand(str(each.get("value", "")), found.variables)
        elif reference := source.get("secretKeyRef"):
            found.secrets[name] = SecretKey(pod.namespace, reference["name"], reference["key"])
        elif (value := _value_from(source, pod, config_maps)) is not None:
            found.variables[name] = value
        elif not _is_optional(source):
            found.unknown.append(name)
    return found


def _add_env_from(
    source: Mapping[str, Any],
    pod: PodIdentity,
    config_maps: ConfigMaps,
    found: ContainerEnvironment,
) -> None:
    prefix = source.get("prefix", "")
    reference = source.get("configMapRef")
    values = config_maps.get(pod.namespace, reference["name"]) if reference else None
    if values is not None:
        found.variables |= {f"{prefix}{name}": str(value) for name, value in values.items()}
    elif not _is_optional(source):
        kind, of = next((kind, of) for kind, of in source.items() if kind != "prefix")
        found.unknown.append(f"all of {kind.removesuffix('Ref')} {of.get('name')}")


def _value_from(source: Mapping[str, Any], pod: PodIdentity, config_maps: ConfigMaps) -> str | None:
    if reference := source.get("fieldRef"):
        return _pod_field(reference["fieldPath"], pod)
    if reference := source.get("configMapKeyRef"):
        data = config_maps.get(pod.namespace, reference["name"]) or {}
        value = data.get(reference["key"])
        return None if value is None else str(value)
    return None


def _pod_field(path: str, pod: PodIdentity) -> str | None:
    if found := _MAP_FIELD.fullmatch(path):
        values = pod.labels if found[1] == "labels" else pod.annotations
        return values.get(found[2], "")
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.name,
        "spec.nodeName": "rehearsal",
        "spec.serviceAccountName": pod.service_account,
        "status.hostIP": "127.0.0.1",
        "status.podIP": "127.0.0.1",
    }.get(path)


def _is_optional(source: Mapping[str, Any]) -> bool:
    return any(isinstance(of, dict) and of.get("optional") is True for of in source.values())


def _expand(value: str, variables: Mapping[str, str]) -> str:
    """Replace references to earlier variables; leave unknown references as they are."""

    def replacement(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return "$"
        return variables.get(reference[1], reference[0])

    return _REFERENCE.sub(replacement, value)
