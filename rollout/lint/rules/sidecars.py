"""Rules for Sidecars: pods must see the hosts that they call, and the routes for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...manifests.hosts import expand_host, service_of
from ...manifests.untyped import list_or_empty
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext, istio_objects
from ..findings import Severity
from ..resource import Resource
from ..rule import Problem, Rule
from ..sidecar_imports import Import, imports, imports_of, is_sidecar
from ..traffic_paths import splits
from ..visibility import is_exported

_MeshRoutes = tuple[Resource, tuple[str, ...]]


def _sidecars(context: LintContext) -> Iterator[tuple[Resource, tuple[Import, ...]]]:
    for resource in context.checked:
        if is_sidecar(resource) and (entries := imports_of(resource)):
            yield resource, entries


def _mesh_routes(context: LintContext) -> Iterator[_MeshRoutes]:
    """Yield the VirtualServices for the mesh with their full hosts."""
    for resource, service in istio_objects(context.everything, VirtualService):
        if MESH in service.gateways:
            hosts = (expand_host(each, service.namespace) for each in service.spec.hosts)
            yield resource, tuple(hosts)


def sidecar_import_unknown(context: LintContext) -> Iterator[Problem]:
    routed = {
        (resource.namespace, host) for resource, hosts in _mesh_routes(context) for host in hosts
    }
    entries_of_others = {
        str(host)
        for resource in context.everything
        if resource.kind == "ServiceEntry"
        for host in list_or_empty(resource.spec.get("hosts"))
    }
    for resource, entries in _sidecars(context):
        for entry in entries:
            host, namespace = entry.host, entry.namespace
            if "*" in host or namespace == "~":
                continue
            name = service_of(host)
            service = None if name is None else context.service(name)
            known = service is not None and namespace in {"*", service.namespace}
            if known or host in entries_of_others or (namespace, host) in routed:
                continue
            # A host outside the cluster may have a ServiceEntry elsewhere.
            if service is None and (name is None or not context.has_services_of(name.namespace)):
                continue
            yield Problem(
                resource,
                entry.path,
                f'the entry "{namespace}/{host}" imports nothing: namespace {namespace} has no'
                " Service and no VirtualService of this host, so the pods reach it without its"
                " routes, or not at all",
                f"write {service.namespace}/{host}" if service else "correct the host",
            )


def sidecar_hides_routes(context: LintContext) -> Iterator[Problem]:
    own: dict[str, list[_MeshRoutes]] = {}
    foreign: dict[str, list[_MeshRoutes]] = {}
    for resource, hosts in _mesh_routes(context):
        own.setdefault(resource.namespace, []).append((resource, hosts))
        for namespace in _callers_named(resource):
            own.setdefault(namespace, []).append((resource, hosts))
        for host in hosts:
            name = service_of(host)
            # Whoever imports a Service imports the routes of its own namespace with it.
            if name and name.namespace != resource.namespace:
                foreign.setdefault(name.namespace, []).append((resource, (host,)))
    for sidecar, entries in _sidecars(context):
        for routes, hosts in _hidden(sidecar, entries, own, foreign):
            yield Problem(
                sidecar,
                "spec.egress",
                f"no entry imports VirtualService {routes.namespace}/{routes.name}, so its routes"
                f" and weights for {', '.join(hosts)} don't apply to calls from these pods",
                f"add {'.' if routes.namespace == sidecar.namespace else routes.namespace}/"
                f"{hosts[0]}",
            )


def _hidden(
    sidecar: Resource,
    entries: tuple[Import, ...],
    own: Mapping[str, list[_MeshRoutes]],
    foreign: Mapping[str, list[_MeshRoutes]],
) -> Iterator[_MeshRoutes]:
    """Yield the routes that callers in the namespace should pass and don't see."""
    namespace = sidecar.namespace
    for routes, hosts in own.get(namespace, ()):
        if is_exported(routes, namespace) and not imports(entries, routes, hosts, namespace):
            yield routes, hosts
    for imported in dict.fromkeys(entry.namespace for entry in entries):
        for routes, hosts in foreign.get(imported, ()):
            calls = [it for it in entries if it.covers(imported, hosts[0])]
            visible = is_exported(routes, namespace) and routes.namespace != namespace
            if calls and visible and not imports(entries, routes, hosts, namespace):
                yield routes, hosts


def _callers_named(routes: Resource) -> set[str]:
    """Return the other namespaces that matches name as the callers'."""
    found: set[str] = set()
    for route in list_or_empty(routes.spec.get("http")):
        for match in list_or_empty(route.get("match")) if isinstance(route, dict) else ():
            namespace = match.get("sourceNamespace") if isinstance(match, dict) else None
            if isinstance(namespace, str):
                found.add(namespace)
    return found - {routes.namespace}


def weights_not_imported(context: LintContext) -> Iterator[Problem]:
    weighted = [each for each in splits(context) if each.place == MESH and "*" not in each.host]
    for sidecar, entries in _sidecars(context):
        for split in weighted:
            service = service_of(split.host)
            routes = split.resource
            if sidecar.namespace == routes.namespace or service is None:
                continue
            sees_host = any(it.covers(service.namespace, split.host) for it in entries)
            if sees_host or imports(entries, routes, [split.host], sidecar.namespace):
                continue
            yield Problem(
                sidecar,
                "spec.egress",
                f"the pods see neither {split.host} nor {routes.kind}"
                f" {routes.namespace}/{routes.name}: if they call it, their requests pass no"
                " weights, and fail under REGISTRY_ONLY",
                f"add {service.namespace}/{split.host} if these pods call it",
            )
            break


RULES: Final = (
    Rule(
        "sidecar-import-unknown",
        Severity.WARNING,
        "every entry of a Sidecar's egress should import something",
        sidecar_import_unknown,
    ),
    Rule(
        "sidecar-hides-routes",
        Severity.WARNING,
        "a Sidecar should import the routes for what its pods call",
        sidecar_hides_routes,
    ),
    Rule(
        "weights-not-imported",
        Severity.INFO,
        "reports Sidecars whose pods see neither a weighted host nor its routes",
        weights_not_imported,
    ),
)
