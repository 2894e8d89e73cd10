"""Validates Kubernetes' own kinds with the JSON schemas of the package kubernetes-validate."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ..manifests.field_errors import FieldError, Reason
from .api_server.quantities import PATTERN
from .structure import Schema, structure_errors

#: The API groups of every cluster. Other groups come from CustomResourceDefinitions.
GROUPS: Final = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
#: The kinds without a namespace.
CLUSTER_SCOPED: Final = frozenset(
    {
        "APIService",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CSINode",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    }
)

_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_FOLDER: Final = re.compile(r"v(\d+)\.(\d+)\.\d+-local-strict")
_KIND: Final = re.compile(r"[A-Za-z]+")
_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?")


class VersionUnknown(Exception):
    """There are no schemas for the requested version of Kubernetes, nor for an older one."""


class Schemas:
    """The schemas of one version of Kubernetes.

    That is the newest version with schemas that is not newer than ``version``.
    """

    def __init__(self, version: str | None = None) -> None:
        every = _package_folder() / "kubernetes-json-schema"
        folders = {
            (int(match[1]), int(match[2])): folder
            for folder in every.iterdir()
            if (match := _FOLDER.fullmatch(folder.name))
        }
        wanted = max(folders) if version is None else _parse_version(version)
        usable = [each for each in folders if each <= wanted]
        if not usable:
            oldest = ".".join(map(str, min(folders)))
            raise VersionUnknown(
                f"Kubernetes {version} is too old: the oldest schemas are for {oldest}"
            )
        self.version: Final = ".".join(map(str, max(usable)))
        self._folder: Final = folders[max(usable)]
        self._loaded: Final[dict[str, Schema | None]] = {}

    def check(self, group: str, version: str, kind: str, document: Any) -> Iterator[FieldError]:
        """Yield the field errors of an object of one of Kubernetes' own kinds."""
        schema = self._schema(group, version, kind)
        if schema is None:
            yield FieldError(
                Reason.UNKNOWN_KIND,
                "apiVersion",
                f"Kubernetes {self.version} has no {kind} of {group}/{version}".replace(" /", " "),
                "look up the kind and its apiVersion with kubectl api-resources",
            )
            return
        yield from structure_errors(document, schema, self._resolve)

    def _schema(self, group: str, version: str, kind: str) -> Schema | None:
        if not _KIND.fullmatch(kind) or not _VERSION.fullmatch(version):
            return None
        middle = f"{group.partition('.')[0]}-" if group else ""
        name = f"{kind.lower()}-{middle}{version}.json"
        if name not in self._loaded:
            self._loaded[name] = _load(self._folder / name)
        return self._loaded[name]

    def _resolve(self, reference: str) -> Schema:
        return self._definitions[reference.rpartition("/")[2]]

    @cached_property
    def _definitions(self) -> dict[str, Schema]:
        loaded = _load(self._folder / "_definitions.json") or {}
        found: dict[str, Schema] = loaded["$defs"]
        return {**found, _QUANTITY: {"type": ["string", "number"], "pattern": PATTERN}}


def _package_folder() -> Path:
    """Return the folder of kubernetes-validate without importing its code, which takes long."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("no kubernetes_validate", name="kubernetes_validate")
    return Path(spec.submodule_search_locations[0])


def _parse_version(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\..*)?", text)
    if match is None:
        raise VersionUnknown(f'"{text}" is not a version of Kubernetes; write it like 1.33')
    return int(match[1]), int(match[2])


def _load(file: Path) -> Schema | None:
    try:
        loaded: Schema = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return loaded
