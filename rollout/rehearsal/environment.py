"""A container's environment as its pod would have it, as far as manifests say it: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .objects import Document, namespace_of

_LABEL: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
#: ``$(NAME)``, or ``$$`` for a dollar sign of its own.
_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """What the downward API knows of a pod."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Where a Secret has a value; manifests have no Secrets in them."""

    namespace: str
    name: str
    key: str


@dataclass(slots=True)
class ContainerEnvironment:
    """``secrets`` are variables whose value is in a Secret, ``unknown`` what can't be had here."""

    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, SecretKey] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


class ConfigMaps:
    """The ConfigMaps among documents."""

    def __init__(self, documents: tuple[Document, ...]) -> None:
        self._data = {
            (namespace_of(each), each["metadata"]["name"]): each.get("data") or {}
            for each in documents
            if each["kind"] == "ConfigMap"
        }

    def get(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self._data.get((namespace, name))


def read_environment(
    container: Mapping[str, Any], pod: PodIdentity, maps: ConfigMaps
) -> ContainerEnvironment:
    """Resolve a container's ``envFrom`` and ``env``, the latter over the former."""
    found = ContainerEnvironment()
    for each in container.get("envFrom") or ():
        _take_all(each, pod, maps, found)
    for each in container.get("env") or ():
        name, source = each["name"], each.get("valueFrom")
        if source is None:
            found.variables[name] = _expand(str(each.get("value", "")), found.variables)
        elif reference := source.get("secretKeyRef"):
            found.secrets[name] = SecretKey(pod.namespace, reference["name"], reference["key"])
        elif (value := _value_from(source, pod, maps)) is not None:
            found.variables[name] = value
        elif not _optional(source):
            found.unknown.append(name)
    return found


def _take_all(
    source: Mapping[str, Any], pod: PodIdentity, maps: ConfigMaps, found: ContainerEnvironment
) -> None:
    prefix = source.get("prefix", "")
    reference = source.get("configMapRef")
    values = maps.get(pod.namespace, reference["name"]) if reference else None
    if values is not None:
        found.variables |= {f"{prefix}{name}": str(value) for name, value in values.items()}
    elif not _optional(source):
        kind, of = next((kind, of) for kind, of in source.items() if kind != "prefix")
        found.unknown.append(f"all of {kind.removesuffix('Ref')} {of.get('name')}")


def _value_from(source: Mapping[str, Any], pod: PodIdentity, maps: ConfigMaps) -> str | None:
    if reference := source.get("fieldRef"):
        return _field(reference["fieldPath"], pod)
    if reference := source.get("configMapKeyRef"):
        value = (maps.get(pod.namespace, reference["name"]) or {}).get(reference["key"])
        return None if value is None else str(value)
    return None


def _field(path: str, pod: PodIdentity) -> str | None:
    if said := _LABEL.fullmatch(path):
        values = pod.labels if said[1] == "labels" else pod.annotations
        return values.get(said[2], "")
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.name,
        "spec.nodeName": "rehearsal",
        "spec.serviceAccountName": pod.service_account,
        "status.hostIP": "127.0.0.1",
        "status.podIP": "127.0.0.1",
    }.get(path)


def _optional(source: Mapping[str, Any]) -> bool:
    return any(isinstance(of, dict) and of.get("optional") is True for of in source.values())


def _expand(value: str, variables: Mapping[str, str]) -> str:
    """Put in variables that stand before; one that is unknown stays as it is written."""

    def of(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return "$"
        return variables.get(reference[1], reference[0])

    return _REFERENCE.sub(of, value)
