"""Callers whose requests two meshes may treat differently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..envoy.proxy import Proxy
from ..manifests.virtual_service import MESH
from ..routing.candidates import ViewPair
from ..routing.requests import INGRESS, Caller
from .mesh import Mesh

#: A namespace without objects.
ELSEWHERE: Final = "elsewhere"
#: More namespaces than this are compared only where an object tells them apart.
_NAMESPACES: Final = 4

Labels = tuple[tuple[str, str], ...]


def view_pairs(old: Mesh, new: Mesh) -> list[ViewPair]:
    """Return what each caller's proxy is programmed with on both sides.

    Callers are outside, at every gateway, and inside: in each namespace that matters, with the
    labels that objects ask for.
    """
    found = list(_gateways(old, new))
    for caller in _callers(old, new):
        proxy = caller.sidecar
        found += [ViewPair(str(caller), old.view(proxy), new.view(proxy))]
    return found


def recorded_callers(mesh: Mesh) -> Iterator[tuple[Caller, Proxy]]:
    """Yield the callers of one mesh."""
    several = len(mesh.gateways) > 1
    for name, proxy in mesh.gateways.items():
        yield Caller(gateway=name) if several else INGRESS, proxy
    for caller in _callers(mesh, mesh):
        yield caller, caller.sidecar


def _gateways(old: Mesh, new: Mesh) -> Iterator[ViewPair]:
    """Yield the gateways of both sides: the same proxy, else what is left in order."""
    ours, theirs = dict(old.gateways), dict(new.gateways)
    alone = max(len(ours), len(theirs)) == 1
    for name, proxy in list(ours.items()):
        twin = next((key for key, each in theirs.items() if each == proxy), None)
        if twin is not None:
            del ours[name]
            yield ViewPair(_title(name, alone), old.view(proxy), new.view(theirs.pop(twin)))
    # The Gateway API's Gateways have pods of their own: a migration changes the proxy.
    for name, twin in zip([*ours], [*theirs], strict=False):
        pair = ViewPair(_title(name, alone), old.view(ours.pop(name)), new.view(theirs.pop(twin)))
        yield pair
    yield from (ViewPair(_title(name, False), old.view(each), None) for name, each in ours.items())
    yield from (
        ViewPair(_title(name, False), None, new.view(each)) for name, each in theirs.items()
    )


def _title(name: str, alone: bool) -> str:
    return "ingress" if alone else f"gateway {name}"


def _callers(old: Mesh, new: Mesh) -> list[Caller]:
    """Return the callers inside the mesh, without duplicates."""
    meshes = (old, new)
    if not any(each.objects.services or each.objects.service_entries for each in meshes):
        return []
    everywhere: dict[str, None] = {}
    for mesh in meshes:
        everywhere.update({each.namespace: None for each in mesh.objects.services})
        everywhere.update({each.namespace: None for each in mesh.objects.virtual_services})
    namespaces = dict.fromkeys((*_told_apart(meshes), ELSEWHERE))
    if len(everywhere) <= _NAMESPACES:
        namespaces = dict.fromkeys((*everywhere, *namespaces))
    labels: dict[Labels, None] = dict.fromkeys(((), *_labels(meshes)))
    return [Caller(namespace, each) for namespace in namespaces for each in labels]


def _told_apart(meshes: tuple[Mesh, ...]) -> Iterator[str]:
    """Yield the namespaces that an object names, or sees differently from others."""
    for mesh in meshes:
        objects = mesh.objects
        yield from (each.namespace for each in objects.sidecars)
        yield from (each.namespace for each in mesh.objects.gateway_api.routes)
        for owner, names in (
            *((each.namespace, each.spec.export_to) for each in objects.virtual_services),
            *((each.namespace, each.spec.export_to) for each in objects.destination_rules),
            *((each.namespace, each.spec.export_to) for each in objects.service_entries),
        ):
            if names and "*" not in names:
                yield owner
                yield from (each for each in names if each not in {".", "~"})
        for service in objects.virtual_services:
            for match in (one for route in service.spec.http for one in route.match):
                if match.source_namespace:
                    yield match.source_namespace


def _labels(meshes: tuple[Mesh, ...]) -> Iterator[Labels]:
    for mesh in meshes:
        for service in mesh.objects.virtual_services:
            if MESH in service.gateways:
                for match in (one for route in service.spec.http for one in route.match):
                    if match.source_labels:
                        yield tuple(sorted(match.source_labels.items()))
        for sidecar in mesh.objects.sidecars:
            if sidecar.spec.workload_selector:
                yield tuple(sorted(sidecar.spec.workload_selector.labels.items()))
