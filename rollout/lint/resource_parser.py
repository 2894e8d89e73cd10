"""Parses the text of manifests into resources, and reports what is invalid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from ..manifests.field_errors import FieldError, Reason
from ..manifests.kubernetes import (
    WORKLOADS,
    Autoscaler,
    Service,
    Workload,
    parse_autoscaler,
    parse_service,
    parse_workload,
)
from ..manifests.metadata import DEFAULT_NAMESPACE
from ..manifests.not_modelled import NotModelled, NotModelledField
from ..manifests.parsing import ParsedManifest, is_modelled, parse_manifest
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .api_server.validation import api_server_errors
from .argo_rollout import ARGO_GROUP
from .custom_resources import CustomResources
from .findings import Location
from .resource import Resource, ResourceId
from .rule import InputProblem, Problem
from .schemas import CLUSTER_SCOPED, GROUPS, Schemas
from .yaml_documents import YamlDocument, YamlInvalid, parse_documents

_KUSTOMIZE_GROUP: Final = "kustomize.config.k8s.io"
#: An action of Go's or Jinja's templates in the place of a value or of a line.
_TEMPLATE: Final = re.compile(r"^[ \t]*(?:- +)?(?:[\w./-]+: +)?\{[{%]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ManifestText:
    """The text of a file.

    ``built`` means that kustomize wrote it. ``discovered`` means that the file was found in a
    directory, so it may be something other than a manifest.
    """

    file: str
    text: str
    built: bool = False
    discovered: bool = False


@dataclass(frozen=True, slots=True)
class ResourceParser:
    """Parses texts with the schemas of one Kubernetes version."""

    schemas: Schemas
    #: The namespace of objects that name none.
    default_namespace: str = DEFAULT_NAMESPACE
    custom_resources: CustomResources = field(default_factory=CustomResources)

    def parse(self, text: ManifestText) -> tuple[tuple[Resource, ...], tuple[InputProblem, ...]]:
        """Return the resources of a text, and the problems of the text and of the resources."""
        resources: list[Resource] = []
        problems: list[InputProblem] = []
        try:
            for document in parse_documents(text.text):
                for value, path in _objects(document.value):
                    source = None if text.built else document.item(path) if path else document
                    if problem := _not_an_object(text, value, source):
                        problems.append(problem)
                    else:
                        resource, found = self._resource(text.file, value, source)
                        resources.append(resource)
                        problems += found
        except YamlInvalid as error:
            what = f"the file is not valid YAML: {error}"
            remedy = "correct the file"
            if _TEMPLATE.search(text.text):
                remedy += "; if it is a template, check its output: … | tallykv-rollout lint -"
            problem_at = Problem(Location(text.file), "", what, remedy, line=error.line)
            problems.append(InputProblem("yaml-invalid", problem_at))
        return tuple(resources), tuple(problems)

    def _resource(
        self, file: str, document: Mapping[str, Any], source: YamlDocument | None
    ) -> tuple[Resource, Iterator[InputProblem]]:
        group, version = _split(document["apiVersion"])
        kind = document["kind"]
        metadata = document["metadata"]
        namespace = str(metadata.get("namespace") or self.default_namespace)
        if group in GROUPS and kind in CLUSTER_SCOPED:
            namespace = ""
        resource_id = ResourceId(group, kind, namespace, _name(metadata))
        if is_modelled(document["apiVersion"], kind):
            parsed = parse_manifest(document, self.default_namespace)
            if self.custom_resources.knows(group, kind):
                found = self.custom_resources.check(group, version, kind, document)
                parsed = _with_structure(parsed, list(found))
            resource = Resource(
                resource_id,
                file,
                document,
                source,
                istio_object=parsed.partial,
                checkable=_is_checkable(parsed),
            )
            return resource, chain(
                _problems_of(resource, parsed.errors), _not_modelled(resource, parsed)
            )
        kubernetes_object = _kubernetes_object(resource_id, document)
        errors: tuple[FieldError, ...] = ()
        if self.custom_resources.knows(group, kind):
            errors = tuple(self.custom_resources.check(group, version, kind, document))
        elif group in GROUPS:
            errors = tuple(self.schemas.check(group, version, kind, document))
        if not errors:
            errors = tuple(api_server_errors(group, kind, document))
        resource = Resource(
            resource_id, file, document, source, kubernetes_object=kubernetes_object
        )
        known = group in GROUPS or self.custom_resources.knows(group, kind)
        return resource, chain(
            _problems_of(resource, errors), () if known else _not_checked(resource)
        )


def _objects(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield the objects of a list and their paths, else the value itself.

    ``kubectl get -o yaml`` writes a List. A list of one kind, as the API returns it, leaves out the
    kind and the apiVersion of its items, and kubectl adds them.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        yield value, ""
        return
    own = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(list_or_empty(value["items"])):
        complete = kind == "List" or not isinstance(item, dict) or "kind" in item
        yield item if complete else {**own, **item}, f"items[{index}]"


def _not_an_object(
    text: ManifestText, value: Any, source: YamlDocument | None
) -> InputProblem | None:
    """Return the problem of a document that is not a Kubernetes object, None if it is one."""
    if isinstance(value, dict) and _is_kustomization(value):
        # kubectl reads it and sends it to no cluster. Its directory can be linted.
        what = "a kustomization itself is not checked"
        return InputProblem(
            "not-checked", Problem(Location(text.file), "", what, "lint its directory")
        )
    missing = _missing_field(value)
    if not missing:
        return None
    has_kind = isinstance(value, dict) and "kind" in value
    other_file = text.discovered and missing == "apiVersion" and not has_kind
    return InputProblem(
        "not-checked" if other_file else "not-an-object",
        Problem(
            Location(text.file),
            missing if isinstance(value, dict) else "",
            f"the document is not a Kubernetes object: it has no {missing}",
            f"ignore this if the file is not a manifest, else add {missing}"
            if other_file
            else f"add {missing}",
            line=None if source is None else source.line_of(""),
        ),
    )


def _is_kustomization(value: Mapping[str, Any]) -> bool:
    return str(value.get("apiVersion")).startswith(f"{_KUSTOMIZE_GROUP}/")


def _missing_field(value: Any) -> str:
    """Return the path of a field that every object has and this value lacks, else ""."""
    if not isinstance(value, dict):
        return "apiVersion"
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name), str) or not value[name]:
            return name
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return "metadata"
    return "" if _name(metadata) else "metadata.name"


def _problems_of(resource: Resource, errors: tuple[FieldError, ...]) -> Iterator[InputProblem]:
    for error in errors:
        problem = Problem(resource, error.path, error.what, error.remedy)
        yield InputProblem(error.reason, problem)


def _not_checked(resource: Resource) -> Iterator[InputProblem]:
    what = (
        f"the structure of {resource.kind} of {resource.id.group} is not checked: the linter has"
        " no schema for it"
    )
    remedy = "give its CustomResourceDefinition with --crds FILE, or --crds cluster"
    yield InputProblem("not-checked", Problem(resource, "", what, remedy))


def _with_structure(parsed: ParsedManifest, errors: list[FieldError]) -> ParsedManifest:
    """Return a parsed object with the errors of its CustomResourceDefinition.

    What the definition says of a field counts; a field that only the definition has is valid.
    """
    wrong = {each.path for each in errors}
    newer = [
        each
        for each in parsed.errors
        if each.reason is Reason.UNKNOWN_FIELD and each.path not in wrong
    ]
    others = [each for each in parsed.errors if each not in newer and each.path not in wrong]
    fields = (NotModelledField(each.path, _newer(each.path)) for each in newer)
    return replace(
        parsed,
        errors=(*errors, *others),
        manifest=None if errors or others else parsed.partial,
        not_modelled=(*parsed.not_modelled, *fields),
    )


def _newer(path: str) -> NotModelled:
    name = path.rpartition(".")[2]
    return NotModelled(f"the field {name}, which is newer", "what it changes isn't checked")


def _not_modelled(resource: Resource, parsed: ParsedManifest) -> Iterator[InputProblem]:
    """Yield a problem for each feature that nothing interprets, where it is used first."""
    first = {each.marker: each for each in reversed(parsed.not_modelled)}
    for each in reversed(first.values()):
        remedy = "nothing to do: Istio accepts it; check by hand what depends on it"
        yield InputProblem("not-modelled", Problem(resource, each.path, str(each), remedy))


def _split(api_version: str) -> tuple[str, str]:
    group, slash, version = api_version.rpartition("/")
    return (group, version) if slash else ("", api_version)


def _name(metadata: Mapping[str, Any]) -> str:
    name = metadata.get("name") or metadata.get("generateName")
    return name if isinstance(name, str) else ""


def _is_checkable(parsed: ParsedManifest) -> bool:
    """Return True if the partial object routes as intended, apart from the invalid fields.

    Without an invalid condition, a match would match more requests than intended.
    """
    harmless = {Reason.UNKNOWN_FIELD}
    return parsed.partial is not None and all(
        each.reason in harmless and ".match" not in each.path for each in parsed.errors
    )


def _kubernetes_object(
    resource_id: ResourceId, document: Mapping[str, Any]
) -> Service | Workload | Autoscaler | None:
    match resource_id.group, resource_id.kind:
        case "", "Service":
            return parse_service(document, resource_id.namespace)
        case "autoscaling", "HorizontalPodAutoscaler":
            return parse_autoscaler(document, resource_id.namespace)
        case (("" | "apps"), kind) if kind in WORKLOADS:
            return parse_workload(document, resource_id.namespace)
        case group, "Rollout" if group == ARGO_GROUP:
            # A Rollout with a workloadRef runs the pods of a Deployment, which is parsed itself.
            if "workloadRef" not in mapping_or_empty(document.get("spec")):
                return parse_workload(document, resource_id.namespace)
    return None
