"""Objects that routes name and nobody gave: a VirtualService alone can be tested, too. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from ..envoy.configuration import Objects
from ..manifests.destination_rule import DestinationRule
from ..manifests.destinations import Destination
from ..manifests.gateway import Gateway
from ..manifests.gateway_api.gateway import ApiGateway
from ..manifests.hosts import expand_host, service_of
from ..manifests.kubernetes import parse_service
from ..manifests.metadata import IstioObject
from ..manifests.parsing import parse_manifest
from ..manifests.virtual_service import MESH

_HTTP: Final = 80
Kind = TypeVar("Kind", bound=IstioObject)
_GATEWAY_API: Final = "gateway.networking.k8s.io"


@dataclass(slots=True)
class _Wanted:
    """Ports and subsets of each Service, by namespace and name."""

    ports: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    subsets: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, host: str, port: int | None, subset: str | None = None) -> None:
        service = service_of(host)
        if service:
            key = (service.namespace, service.name)
            self.ports.setdefault(key, set()).update({port} if port else ())
            self.subsets.setdefault(key, set()).update({subset} if subset else ())


def with_assumptions(objects: Objects) -> tuple[Objects, tuple[str, ...]]:
    """Return the objects with those that are missing, and a sentence about each of them.

    A Service is missing if no Service of its namespace is there: otherwise the route is wrong. Of
    such a Service, subsets are missing if no DestinationRule has its host.
    """
    notes: list[str] = []
    gateways = tuple(_made(each, Gateway, notes) for each in _gateways(objects))
    listening = tuple(_made(each, ApiGateway, notes) for each in _api_gateways(objects))
    there = {each.namespace for each in objects.services}
    known = {expand_host(each.spec.host, each.namespace) for each in objects.destination_rules}
    wanted = _wanted(objects)
    services, rules = [], []
    for (namespace, name), ports in sorted(wanted.ports.items()):
        if namespace in there:
            continue
        numbers = sorted(ports) or [_HTTP]
        notes.append(f"Service {namespace}/{name}, port {', '.join(map(str, numbers))}")
        services.append(parse_service(_service(namespace, name, numbers), namespace))
        subsets = sorted(wanted.subsets[namespace, name])
        host = f"{name}.{namespace}.svc.cluster.local"
        if subsets and host not in known:
            rules.append(_made(_rule(namespace, name, host, subsets), DestinationRule, notes))
    api = objects.gateway_api
    return replace(
        objects,
        gateways=(*objects.gateways, *gateways),
        services=(*objects.services, *services),
        destination_rules=(*objects.destination_rules, *rules),
        gateway_api=replace(api, gateways=(*api.gateways, *listening)),
    ), tuple(f"not among the manifests, assumed: {each}" for each in notes)


def _made(document: Mapping[str, Any], kind: type[Kind], notes: list[str]) -> Kind:
    made = parse_manifest(document).manifest
    assert isinstance(made, kind)  # noqa: S101 - one of the documents below
    notes.append(f"{made.kind} {made.namespace}/{made.name}{_detail(made)}")
    return made


def _detail(made: IstioObject) -> str:
    if isinstance(made, DestinationRule):
        return f" with the subsets {', '.join(each.name for each in made.spec.subsets)}"
    return ""


def _gateways(objects: Objects) -> Iterator[dict[str, Any]]:
    there = {f"{each.namespace}/{each.name}" for each in objects.gateways}
    named = [
        each for service in objects.virtual_services for each in service.gateways if each != MESH
    ]
    for each in dict.fromkeys(named):
        if each not in there:
            namespace, _, name = each.partition("/")
            port = {"number": _HTTP, "name": "http", "protocol": "HTTP"}
            spec = {
                "selector": {"istio": "ingressgateway"},
                "servers": [{"port": port, "hosts": ["*"]}],
            }
            yield _document("networking.istio.io/v1", "Gateway", namespace, name, spec)


def _api_gateways(objects: Objects) -> Iterator[dict[str, Any]]:
    api = objects.gateway_api
    there = {(each.namespace, each.name) for each in api.gateways}
    wanted: dict[tuple[str, str], dict[tuple[str, int], None]] = {}
    for route in api.routes:
        for parent in route.spec.parent_refs:
            key = (parent.namespace or route.namespace, parent.name)
            if (parent.group, parent.kind) == (_GATEWAY_API, "Gateway") and key not in there:
                port = parent.port or _HTTP
                listener = (parent.section_name or f"http-{port}", port)
                wanted.setdefault(key, {})[listener] = None
    for (namespace, name), listeners in wanted.items():
        spec = {
            "gatewayClassName": "istio",
            "listeners": [
                {
                    "name": listener,
                    "port": port,
                    "protocol": "HTTP",
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
                for listener, port in listeners
            ],
        }
        yield _document(f"{_GATEWAY_API}/v1", "Gateway", namespace, name, spec)


def _wanted(objects: Objects) -> _Wanted:
    """Return the Services that routes name, also those whose callers a route is for."""
    found = _Wanted()
    for service in objects.virtual_services:
        for host in service.spec.hosts if MESH in service.gateways else ():
            if not host.startswith("*"):
                found.add(expand_host(host, service.namespace), None)
        for route in service.spec.http:
            for destination in (
                *(each.destination for each in route.route),
                *(each for each, _ in route.mirror_destinations),
            ):
                _add(found, destination, service.namespace)
    for api in objects.gateway_api.routes:
        for parent in api.spec.parent_refs:
            if (parent.group, parent.kind) == ("", "Service"):
                host = f"{parent.name}.{parent.namespace or api.namespace}.svc.cluster.local"
                found.add(host, parent.port)
        for rule in api.spec.rules:
            mirrors = [
                each.request_mirror.backend_ref for each in rule.filters if each.request_mirror
            ]
            for backend in (*rule.backend_refs, *mirrors):
                if (backend.group, backend.kind) == ("", "Service"):
                    namespace = backend.namespace or api.namespace
                    found.add(f"{backend.name}.{namespace}.svc.cluster.local", backend.port)
    return found


def _add(found: _Wanted, destination: Destination, namespace: str) -> None:
    port = destination.port.number if destination.port else None
    found.add(expand_host(destination.host, namespace), port, destination.subset)


def _service(namespace: str, name: str, ports: list[int]) -> dict[str, Any]:
    listed = [{"name": f"http-{each}", "port": each} for each in ports]
    return _document("v1", "Service", namespace, name, {"ports": listed})


def _rule(namespace: str, name: str, host: str, subsets: list[str]) -> dict[str, Any]:
    listed = [{"name": each, "labels": {"version": each}} for each in subsets]
    spec = {"host": host, "subsets": listed}
    return _document("networking.istio.io/v1", "DestinationRule", namespace, name, spec)


def _document(
    version: str, kind: str, namespace: str, name: str, spec: dict[str, Any]
) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
