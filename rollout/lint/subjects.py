"""One object that is linted: what it says, what it was read as, where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..manifests.kubernetes import Autoscaler, Service, Workload
from ..manifests.metadata import IstioObject
from .findings import Place
from .yaml_text import Document

#: An object's annotation that lists the rules it may break, with commas or blanks between.
ALLOW: Final = "tallykv-rollout/allow"


class Identity(NamedTuple):
    """What two manifests of one object have in common; its API's version may differ."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """``source`` is None for what kustomize wrote: its lines are nowhere to be seen."""

    identity: Identity
    file: str
    document: Mapping[str, Any]
    source: Document | None = None
    #: Of Istio's kinds; without the fields that were refused, None if too little remained.
    manifest: IstioObject | None = None
    #: Whether ``manifest`` is whole enough for rules to judge what it does.
    judged: bool = False
    #: Of Kubernetes' kinds that rules look at.
    view: Service | Workload | Autoscaler | None = None

    @property
    def kind(self) -> str:
        return self.identity.kind

    @property
    def namespace(self) -> str:
        return self.identity.namespace

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def place(self) -> Place:
        return Place(self.file, self.kind, self.namespace, self.name)

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the spec as written, empty if it is no mapping."""
        spec = self.document.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def allows(self) -> frozenset[str]:
        """Return the ids of the rules that the object's annotation allows it to break."""
        metadata = self.document.get("metadata")
        annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
        said = annotations.get(ALLOW) if isinstance(annotations, dict) else None
        return frozenset(said.replace(",", " ").split()) if isinstance(said, str) else frozenset()

    def line_of(self, path: str) -> int | None:
        return None if self.source is None else self.source.line_of(path)
