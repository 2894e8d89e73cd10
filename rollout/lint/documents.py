"""Texts become subjects; what can't be read, or is not as its schema wants it, is a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.kubernetes import (
    WORKLOADS,
    Autoscaler,
    Service,
    Workload,
    read_autoscaler,
    read_service,
    read_workload,
)
from ..manifests.metadata import DEFAULT_NAMESPACE
from ..manifests.reading import Reading, is_istio, read_manifest
from ..manifests.refusals import Reason, Refusal
from .findings import Place
from .schemas import CLUSTER_SCOPED, GROUPS, Schemas
from .subjects import Identity, Subject
from .yaml_text import Document, YamlInvalid, read_documents

_KUSTOMIZE: Final = "kustomize.config.k8s.io"


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text; ``built`` if kustomize wrote it, ``found`` if nobody named the file."""

    file: str
    text: str
    built: bool = False
    found: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said before any rule looks: of a subject, or of a file as a whole."""

    rule: str
    where: Subject | Place
    path: str
    what: str
    remedy: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Assembling:
    """How texts are read."""

    schemas: Schemas
    default_namespace: str = DEFAULT_NAMESPACE

    def read(self, text: Text) -> tuple[tuple[Subject, ...], tuple[Remark, ...]]:
        """Return a text's objects, and what is wrong with it and them."""
        subjects: list[Subject] = []
        remarks: list[Remark] = []
        try:
            for document in read_documents(text.text):
                for value in _items(document.value):
                    source = None if text.built or value is not document.value else document
                    self._add(text, value, source, subjects, remarks)
        except YamlInvalid as error:
            remarks.append(
                Remark(
                    "yaml-invalid",
                    Place(text.file),
                    "",
                    f"it is no YAML: {error}",
                    "mend the file",
                    error.line,
                )
            )
        return tuple(subjects), tuple(remarks)

    def _add(
        self,
        text: Text,
        value: Any,
        source: Document | None,
        subjects: list[Subject],
        remarks: list[Remark],
    ) -> None:
        if isinstance(value, dict) and _is_kustomize(value):
            # What kustomize reads has no name and is no object; its directory is.
            remarks.append(
                Remark(
                    "not-checked",
                    Place(text.file),
                    "",
                    "kustomize's own file is not checked",
                    "lint its directory",
                )
            )
            return
        if lacking := _lacking(value):
            stranger = (
                text.found
                and lacking == "apiVersion"
                and not (isinstance(value, dict) and "kind" in value)
            )
            remarks.append(
                Remark(
                    "not-checked" if stranger else "not-an-object",
                    Place(text.file),
                    lacking if isinstance(value, dict) else "",
                    f"it is no object of Kubernetes': it has no {lacking}",
                    "nothing, if it is something else" if stranger else "add it",
                    None if source is None else source.line_of(""),
                )
            )
            return
        subject, refusals = self._subject(text.file, value, source)
        subjects.append(subject)
        remarks += (
            Remark(each.reason, subject, each.path, each.what, each.remedy) for each in refusals
        )
        if remark := _unchecked(subject):
            remarks.append(remark)

    def _subject(
        self, file: str, document: Mapping[str, Any], source: Document | None
    ) -> tuple[Subject, tuple[Refusal, ...]]:
        group, version = _split(document["apiVersion"])
        kind = document["kind"]
        metadata = document["metadata"]
        namespace = str(metadata.get("namespace") or self.default_namespace)
        if group in GROUPS and kind in CLUSTER_SCOPED:
            namespace = ""
        identity = Identity(group, kind, namespace, _name(metadata))
        if is_istio(document["apiVersion"]):
            reading = read_manifest(document, self.default_namespace)
            subject = Subject(
                identity,
                file,
                document,
                source,
                manifest=reading.manifest or reading.rest,
                judged=_judged(reading),
            )
            return subject, reading.refusals
        view = _view(identity, document)
        refusals: tuple[Refusal, ...] = ()
        if group in GROUPS:
            refusals = tuple(self.schemas.check(group, version, kind, document))
        return Subject(identity, file, document, source, view=view), refusals


def _items(value: Any) -> Iterator[Any]:
    """Yield a list's objects one by one, as ``kubectl get -o yaml`` writes them."""
    if isinstance(value, dict) and value.get("kind") == "List" and "items" in value:
        items = value["items"]
        yield from items if isinstance(items, list) else ()
    else:
        yield value


def _split(api_version: str) -> tuple[str, str]:
    group, slash, version = api_version.rpartition("/")
    return (group, version) if slash else ("", api_version)


def _lacking(value: Any) -> str:
    """Return the path of what an object must have and this has not; empty for an object."""
    if not isinstance(value, dict):
        return "apiVersion"
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name), str) or not value[name]:
            return name
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return "metadata"
    return "" if _name(metadata) else "metadata.name"


def _name(metadata: Mapping[str, Any]) -> str:
    name = metadata.get("name") or metadata.get("generateName")
    return name if isinstance(name, str) else ""


def _is_kustomize(value: Mapping[str, Any]) -> bool:
    return str(value.get("apiVersion")).startswith(f"{_KUSTOMIZE}/")


def _judged(reading: Reading) -> bool:
    """Tell whether what remains does what it was meant to, as far as it goes."""
    harmless = {Reason.UNKNOWN_FIELD, Reason.UNSUPPORTED_FIELD}
    return reading.rest is not None and all(
        each.reason in harmless and ".match" not in each.path for each in reading.refusals
    )


def _view(
    identity: Identity, document: Mapping[str, Any]
) -> Service | Workload | Autoscaler | None:
    match identity.group, identity.kind:
        case "", "Service":
            return read_service(document, identity.namespace)
        case "autoscaling", "HorizontalPodAutoscaler":
            return read_autoscaler(document, identity.namespace)
        case (("" | "apps"), kind) if kind in WORKLOADS:
            return read_workload(document, identity.namespace)
        case "argoproj.io", "Rollout":
            # One with a workloadRef has the pods of a Deployment, which is here itself.
            spec = document.get("spec")
            if isinstance(spec, dict) and "workloadRef" not in spec:
                return read_workload(document, identity.namespace)
    return None


def _unchecked(subject: Subject) -> Remark | None:
    group = subject.identity.group
    if group in GROUPS or is_istio(f"{group}/"):
        return None
    what = f"{subject.kind} of {group} is not checked: no schema of it is known here"
    return Remark("not-checked", subject, "", what, "kubectl apply --dry-run=server checks it")
