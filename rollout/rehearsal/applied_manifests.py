"""The objects that were applied, as the rehearsal's control plane knows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..envoy.configuration import Objects
from ..gateway_api.objects import GatewayApiObjects
from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.gateway_api.gateway import ApiGateway, GatewayClass, ReferenceGrant
from ..manifests.gateway_api.routes import GRPCRoute, HTTPRoute
from ..manifests.kubernetes import WORKLOADS, Service, Workload, parse_service, parse_workload
from ..manifests.metadata import DEFAULT_NAMESPACE, IstioObject
from ..manifests.parsing import is_modelled, parse_manifest
from ..manifests.request_authentication import RequestAuthentication
from ..manifests.security import AuthorizationPolicy, PeerAuthentication
from ..manifests.service_entry import ServiceEntry
from ..manifests.sidecar import Sidecar
from ..manifests.virtual_service import VirtualService
from .errors import ManifestsInvalid

Model = TypeVar("Model", bound=IstioObject)
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppliedManifests:
    """What is applied: ``documents`` has the last version of each object."""

    objects: Objects
    documents: tuple[Document, ...]


def read_applied_manifests(documents: Iterable[Document]) -> AppliedManifests:
    """Read documents in the order in which they were applied; raise ManifestsInvalid.

    A document replaces an earlier one of the same API group, kind, namespace and name.
    """
    applied = {_identity(each): each for each in documents}
    latest = tuple(applied.values())
    models: list[IstioObject] = []
    errors: list[str] = []
    for each in latest:
        if is_modelled(*kind_of(each)):
            parsed = parse_manifest(each)
            if parsed.manifest is not None:
                models.append(parsed.manifest)
            errors += [f"{title_of(each)}: {one.path}: {one.what}" for one in parsed.errors]
    if errors:
        raise ManifestsInvalid("; ".join(errors))
    objects = Objects(
        virtual_services=_of_kind(models, VirtualService),
        destination_rules=_of_kind(models, DestinationRule),
        gateways=_of_kind(models, Gateway),
        services=_services(latest),
        workloads=_workloads(latest),
        service_entries=_of_kind(models, ServiceEntry),
        sidecars=_of_kind(models, Sidecar),
        peer_authentications=_of_kind(models, PeerAuthentication),
        authorization_policies=_of_kind(models, AuthorizationPolicy),
        request_authentications=_of_kind(models, RequestAuthentication),
        gateway_api=GatewayApiObjects(
            gateways=_of_kind(models, ApiGateway),
            classes=_of_kind(models, GatewayClass),
            routes=(*_of_kind(models, HTTPRoute), *_of_kind(models, GRPCRoute)),
            grants=_of_kind(models, ReferenceGrant),
            namespaces=_namespaces(latest),
        ),
    )
    return AppliedManifests(objects, latest)


def kind_of(document: Document) -> tuple[str, str]:
    """Return ``apiVersion`` and ``kind``."""
    return str(document["apiVersion"]), str(document["kind"])


def namespace_of(document: Document) -> str:
    return str(document["metadata"].get("namespace") or DEFAULT_NAMESPACE)


def title_of(document: Document) -> str:
    """Return kind, namespace and name: ``VirtualService shop/kv``."""
    return f"{document['kind']} {namespace_of(document)}/{document['metadata']['name']}"


def _of_kind(models: Iterable[IstioObject], kind: type[Model]) -> tuple[Model, ...]:
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


def _namespaces(documents: Iterable[Document]) -> Mapping[str, Mapping[str, str]]:
    """Return the labels of the namespaces whose objects are there."""
    return {
        each["metadata"]["name"]: dict(each["metadata"].get("labels") or {})
        for each in documents
        if kind_of(each) == ("v1", "Namespace")
    }


def _identity(document: Document) -> tuple[str, str, str, str]:
    # Without the version: v1 and v1beta1 of an API describe the same object.
    group = str(document["apiVersion"]).rpartition("/")[0]
    return group, document["kind"], namespace_of(document), document["metadata"]["name"]
