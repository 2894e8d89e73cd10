"""A Kubernetes object that the linter checks: its document, its parsed form, and its file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..manifests.kubernetes import Autoscaler, Service, Workload
from ..manifests.metadata import IstioObject
from ..manifests.untyped import mapping_or_empty
from .findings import Location
from .yaml_documents import YamlDocument

#: This annotation lists the ids of rules that the object may break, separated by commas or spaces.
ALLOW_ANNOTATION: Final = "tallykv-rollout/allow"


class ResourceId(NamedTuple):
    """What identifies an object in a cluster. The version of its API is not part of it."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """An object; ``source`` is None for kustomize output, which has no line numbers."""

    id: ResourceId
    file: str
    document: Mapping[str, Any]
    source: YamlDocument | None = None
    #: For Istio's kinds: the object without its invalid fields; None if too little is valid.
    istio_object: IstioObject | None = None
    #: False if rules about the behaviour of ``istio_object`` could be wrong for lack of a field.
    checkable: bool = False
    #: For Kubernetes' kinds that rules examine.
    kubernetes_object: Service | Workload | Autoscaler | None = None

    @property
    def kind(self) -> str:
        return self.id.kind

    @property
    def namespace(self) -> str:
        return self.id.namespace

    @property
    def name(self) -> str:
        return self.id.name

    @property
    def location(self) -> Location:
        return Location(self.file, self.kind, self.namespace, self.name)

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the spec as it is written, empty if it is not a mapping."""
        return mapping_or_empty(self.document.get("spec"))

    @property
    def allowed_rules(self) -> frozenset[str]:
        """Return the ids of the rules that the object's annotation allows it to break."""
        metadata = mapping_or_empty(self.document.get("metadata"))
        listed = mapping_or_empty(metadata.get("annotations")).get(ALLOW_ANNOTATION)
        return (
            frozenset(listed.replace(",", " ").split()) if isinstance(listed, str) else frozenset()
        )

    def line_of(self, path: str) -> int | None:
        """Return the line of a JSON path, None if it is unknown."""
        return None if self.source is None else self.source.line_of(path)
