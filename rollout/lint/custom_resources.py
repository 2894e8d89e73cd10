"""The structure of custom resources, from CustomResourceDefinitions in files or in a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..manifests.field_errors import FieldError, Reason
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .kustomize import CouldNotRun
from .structure import Schema, structure_errors
from .yaml_documents import YamlInvalid, parse_documents

#: In place of a file: the cluster that kubectl talks to.
CLUSTER: Final = "cluster"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_TIMEOUT_SECONDS: Final = 60.0
#: Every object has these fields, and a definition need not name them.
_COMMON: Final[Mapping[str, Schema]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}


@dataclass(frozen=True, slots=True)
class CustomResources:
    """The schemas of custom resources by API group and kind, then by version."""

    schemas: Mapping[tuple[str, str], Mapping[str, Schema]] = field(default_factory=dict)

    def knows(self, group: str, kind: str) -> bool:
        return (group, kind) in self.schemas

    def check(self, group: str, version: str, kind: str, document: Any) -> Iterator[FieldError]:
        """Yield the field errors of an object of a known kind."""
        versions = self.schemas[group, kind]
        if version not in versions:
            yield FieldError(
                Reason.UNKNOWN_KIND,
                "apiVersion",
                f"the CustomResourceDefinition of {kind} has no version {version}",
                f"use one of {', '.join(f'{group}/{each}' for each in versions)}",
            )
            return
        yield from structure_errors(document, versions[version])


def load_custom_resources(sources: Sequence[str]) -> CustomResources:
    """Load definitions from files, directories, or the cluster; raise CouldNotRun."""
    schemas: dict[tuple[str, str], dict[str, Schema]] = {}
    for source in sources:
        found = 0
        for document in _documents(source):
            if document.get("kind") == "CustomResourceDefinition":
                spec = mapping_or_empty(document.get("spec"))
                kind = mapping_or_empty(spec.get("names")).get("kind")
                schemas[str(spec.get("group")), str(kind)] = dict(_versions(spec))
                found += 1
        if not found:
            raise CouldNotRun(f"{source} has no CustomResourceDefinition")
    return CustomResources(schemas)


def _versions(spec: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    for version in map(mapping_or_empty, list_or_empty(spec.get("versions"))):
        schema = mapping_or_empty(mapping_or_empty(version.get("schema")).get("openAPIV3Schema"))
        if version.get("served", True):
            properties = {**_COMMON, **mapping_or_empty(schema.get("properties"))}
            yield str(version.get("name")), {**schema, "properties": properties}


def _documents(source: str) -> Iterator[Mapping[str, Any]]:
    texts = [_read_cluster()] if source == CLUSTER else map(_read, _files(Path(source)))
    for text in texts:
        try:
            for document in parse_documents(text):
                value = mapping_or_empty(document.value)
                yield from map(mapping_or_empty, list_or_empty(value.get("items")) or [value])
        except YamlInvalid as error:
            raise CouldNotRun(f"{source} is not valid YAML: {error}") from None


def _files(path: Path) -> Iterable[Path]:
    if not path.exists():
        raise CouldNotRun(f"{path} does not exist")
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotRun(f"{path} can't be read: {error}") from None


def _read_cluster() -> str:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise CouldNotRun("--crds cluster needs kubectl on the PATH")
    try:
        done = subprocess.run(  # noqa: S603 - kubectl, without any input of the user's
            [kubectl, "get", "customresourcedefinitions", "-o", "yaml"],
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"kubectl did not answer in {_TIMEOUT_SECONDS:g} s") from None
    if done.returncode:
        raise CouldNotRun(f"kubectl can't read the cluster's definitions: {done.stderr.strip()}")
    return done.stdout
