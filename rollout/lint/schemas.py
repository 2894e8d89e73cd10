"""Kubernetes' own kinds against their schemas, which the package kubernetes-validate brings."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, Final

# It brings no types.
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

from ..manifests.reading import closest
from ..manifests.refusals import Reason, Refusal, render_path

#: The API groups that every cluster has; all others come with a CustomResourceDefinition.
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
#: Their objects are in no namespace.
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

_FOLDER: Final = re.compile(r"v(\d+)\.(\d+)\.\d+-local-strict")
_KIND: Final = re.compile(r"[A-Za-z]+")
_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?")


class VersionUnknown(Exception):
    """No schemas as old as that are at hand."""


class Schemas:
    """The schemas of one version of Kubernetes, the newest known if none is named."""

    def __init__(self, version: str | None = None) -> None:
        every = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
        folders = {
            (int(match[1]), int(match[2])): folder
            for folder in every.iterdir()
            if (match := _FOLDER.fullmatch(folder.name))
        }
        wanted = max(folders) if version is None else _parse_version(version)
        usable = [each for each in folders if each <= wanted]
        if not usable:
            oldest = ".".join(map(str, min(folders)))
            raise VersionUnknown(f"the oldest version of Kubernetes that is known is {oldest}")
        self.version: Final = ".".join(map(str, max(usable)))
        self._folder: Final = folders[max(usable)]

    def check(self, group: str, version: str, kind: str, document: Any) -> Iterator[Refusal]:
        """Yield all that the schema of a kind of Kubernetes' own refuses."""
        schema = self._schema(group, version, kind)
        if schema is None:
            yield Refusal(
                Reason.UNKNOWN_KIND,
                "apiVersion",
                f"Kubernetes {self.version} has no {kind} of {group}/{version}".replace(" /", " "),
                "look both up with kubectl api-resources",
            )
            return
        validator = Draft202012Validator(schema, registry=self._registry)
        errors = sorted(
            validator.iter_errors(document), key=lambda error: list(map(str, error.path))
        )
        for error in errors:
            yield from _refusals(error)

    def _schema(self, group: str, version: str, kind: str) -> Any:
        if not _KIND.fullmatch(kind) or not _VERSION.fullmatch(version):
            return None
        middle = f"{group.partition('.')[0]}-" if group else ""
        return _load(self._folder / f"{kind.lower()}-{middle}{version}.json")

    @cached_property
    def _registry(self) -> Registry[Any]:
        definitions = Resource.from_contents(_load(self._folder / "_definitions.json"))
        return definitions @ Registry()


def _parse_version(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\..*)?", text)
    if match is None:
        raise VersionUnknown(f'"{text}" is no version of Kubernetes; one is 1.33')
    return int(match[1]), int(match[2])


def _load(file: Traversable) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None


def _refusals(error: Any) -> Iterator[Refusal]:
    steps = tuple(error.absolute_path)
    path = render_path(steps)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        for name in sorted(set(map(str, error.instance)) - set(known)):
            yield Refusal(
                Reason.UNKNOWN_FIELD,
                render_path((*steps, name)),
                f'there is no field "{name}"',
                closest(name, known),
            )
    elif error.validator == "required":
        instance: Mapping[str, Any] = error.instance
        name = next(name for name in error.validator_value if f"'{name}'" in error.message)
        if name not in instance:
            yield Refusal(
                Reason.MISSING_FIELD, render_path((*steps, name)), "the field is required", "add it"
            )
    elif error.validator in {"type", "oneOf", "anyOf"}:
        wanted = error.validator_value if error.validator == "type" else "another form"
        yield Refusal(
            Reason.WRONG_TYPE,
            path,
            "the value is of another type",
            f"it has to be {_either(wanted)}",
        )
    else:
        yield Refusal(
            Reason.BAD_VALUE,
            path,
            "the value is not allowed",
            f"{error.validator} has to be {error.validator_value}"
            if error.validator != "enum"
            else f"it has to be {_either(error.validator_value)}",
        )


def _either(wanted: Any) -> str:
    if isinstance(wanted, list):
        return " or ".join(str(each) for each in wanted if each not in {"null", None})
    return str(wanted)
