"""Documents become the objects that are translated, and notes of what is not rehearsed: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..envoy.configuration import Objects
from ..envoy.notes import notes
from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.kubernetes import WORKLOADS, Service, Workload, parse_service, parse_workload
from ..manifests.metadata import DEFAULT_NAMESPACE, IstioObject
from ..manifests.parsing import is_istio, parse_manifest
from ..manifests.virtual_service import VirtualService
from .programs import RehearsalFailed

Model = TypeVar("Model", bound=IstioObject)
Document = Mapping[str, Any]


class ManifestsRefused(RehearsalFailed):
    """Objects can't be rehearsed as they are; the message names them and what is wrong."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """``latest`` has every document once, as the last one that was applied."""

    objects: Objects
    latest: tuple[Document, ...]
    notes: tuple[str, ...]


def read_objects(documents: Iterable[Document]) -> Manifests:
    """Read what was applied one after the other; raise ManifestsRefused.

    A document takes the place of an earlier one of the same kind, namespace and name.
    """
    applied = {_identity(each): each for each in documents}
    latest = tuple(applied.values())
    models: list[IstioObject] = []
    refused: list[str] = []
    for each in latest:
        if is_istio(str(each["apiVersion"])):
            parsed = parse_manifest(each)
            if parsed.manifest is not None:
                models.append(parsed.manifest)
            refused += [f"{_title(each)}: {one.path}: {one.what}" for one in parsed.errors]
    if refused:
        raise ManifestsRefused("; ".join(refused))
    objects = Objects(
        virtual_services=_of(models, VirtualService),
        destination_rules=_of(models, DestinationRule),
        gateways=_of(models, Gateway),
        services=_services(latest),
        workloads=_workloads(latest),
    )
    return Manifests(objects, latest, tuple(f"not rehearsed: {each}" for each in notes(latest)))


def _of(models: Iterable[IstioObject], kind: type[Model]) -> tuple[Model, ...]:
    return tuple(each for each in models if isinstance(each, kind))


def _services(documents: Iterable[Document]) -> tuple[Service, ...]:
    return tuple(
        parse_service(each, namespace_of(each))
        for each in documents
        if each["kind"] == "Service" and each["apiVersion"] == "v1"
    )


def _workloads(documents: Iterable[Document]) -> tuple[Workload, ...]:
    return tuple(
        parse_workload(each, namespace_of(each)) for each in documents if each["kind"] in WORKLOADS
    )


def namespace_of(document: Document) -> str:
    return str(document["metadata"].get("namespace") or DEFAULT_NAMESPACE)


def _identity(document: Document) -> tuple[str, str, str, str]:
    # An API's versions are different ways to write one object.
    group = str(document["apiVersion"]).rpartition("/")[0]
    return group, document["kind"], namespace_of(document), document["metadata"]["name"]


def _title(document: Document) -> str:
    return f"{document['kind']} {namespace_of(document)}/{document['metadata']['name']}"
