"""Which features of the manifests a rehearsal can't imitate and could change its answers. Pure.

Only objects that requests of the plan meet count: its VirtualServices and those of its hosts, their
Gateways, the DestinationRules and ServiceEntries of their destinations, and what patches proxies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..gateway_api.internal_objects import gateway_name
from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.gateway_api.gateway import ApiGateway
from ..manifests.gateway_api.routes import GRPCRoute, HTTPRoute
from ..manifests.hosts import expand_host, overlap
from ..manifests.metadata import IstioObject
from ..manifests.not_modelled import NotModelledField
from ..manifests.parsing import is_modelled, parse_manifest
from ..manifests.service_entry import ServiceEntry
from ..manifests.virtual_service import VirtualService
from ..manifests.weighted_rules import Routes
from .applied_manifests import kind_of, title_of
from .errors import NotRehearsable

#: Istio's root namespace: what is in it applies to the whole mesh.
_ROOT: Final = "istio-system"
_PATCHES: Final = frozenset({"EnvoyFilter", "WasmPlugin", "TrafficExtension"})
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Risk:
    """A feature that could change an answer; ``path`` is empty if the whole object is meant."""

    object: str
    kind: str
    field: NotModelledField

    def is_named(self, name: str) -> bool:
        """Return True if ``name`` is the kind, the field, or its path with or without indexes."""
        path = self.field.path
        if not path:
            return name == self.kind
        plain = _INDEX.sub("", path)
        return name in {path, plain, plain.rpartition(".")[2]}

    def __str__(self) -> str:
        """Return one line for a person to read."""
        where = f"{self.object} {self.field.path}".rstrip()
        return f"{where}: {self.field}"


def accepted_risks(
    documents: Iterable[Mapping[str, Any]],
    routes: Iterable[Routes],
    ignored: Iterable[str] = (),
    made: Iterable[VirtualService] = (),
) -> tuple[Risk, ...]:
    """Return the risks that ``ignored`` names; raise NotRehearsable if there are others.

    ``routes`` are those of the steps, ``made`` what istiod makes of the Gateway API's among them.
    """
    names = tuple(ignored)
    steps = tuple(routes)
    found = tuple(_risks(documents, steps, _Scope(steps, tuple(made))))
    taken = tuple(each for each in found if any(map(each.is_named, names)))
    if refused := [each for each in found if each not in taken]:
        listed = "; ".join(dict.fromkeys(map(str, refused)))
        name = refused[0].field.path.rpartition(".")[2] or refused[0].kind
        raise NotRehearsable(
            f"the answer could be wrong: {listed}. --ignore {name} rehearses without it"
        )
    return taken


def _risks(
    documents: Iterable[Mapping[str, Any]], routes: tuple[Routes, ...], scope: _Scope
) -> Iterator[Risk]:
    for each in routes:
        title = f"{each.kind} {each.namespace}/{each.name}"
        for field in each.not_modelled():
            if field.marker.changes_requests:
                yield Risk(title, each.kind, field)
    for document in documents:
        parsed = parse_manifest(document) if is_modelled(*kind_of(document)) else None
        if parsed and parsed.manifest and scope.meets(parsed.manifest):
            for field in parsed.not_modelled:
                if field.marker.changes_requests:
                    yield Risk(title_of(document), parsed.manifest.kind, field)


class _Scope:
    """What requests for the hosts of some routes meet."""

    def __init__(self, own: tuple[Routes, ...], made: tuple[VirtualService, ...]) -> None:
        routes = (*(each for each in own if isinstance(each, VirtualService)), *made)
        self._own = {(each.kind, each.namespace, each.name) for each in own}
        self._hosts = {
            expand_host(host, each.namespace) for each in routes for host in each.spec.hosts
        }
        self._gateways = {name for each in routes for name in each.gateways}
        self._destinations = {
            expand_host(destination.host, each.namespace)
            for each in routes
            for route in each.spec.http
            for destination in (
                *(weighted.destination for weighted in route.route),
                *(mirror for mirror, _ in route.mirror_destinations),
            )
        }
        self._namespaces = {_ROOT, *(each.namespace for each in routes)}
        self._namespaces |= {name.partition("/")[0] for name in self._gateways if "/" in name}

    def meets(self, manifest: IstioObject) -> bool:
        namespace = manifest.namespace
        match manifest:
            case VirtualService():
                # The steps replace the plan's own routes.
                own = (manifest.kind, namespace, manifest.name) in self._own
                return not own and self._overlaps(manifest.spec.hosts, namespace, self._hosts)
            case HTTPRoute() | GRPCRoute():
                own = (manifest.kind, namespace, manifest.name) in self._own
                names = manifest.spec.hostnames or ("*",)
                return not own and self._overlaps(names, namespace, self._hosts)
            case ApiGateway():
                return any(
                    each.startswith(f"{namespace}/{gateway_name(manifest.name, '')}")
                    for each in self._gateways
                )
            case DestinationRule():
                return self._overlaps((manifest.spec.host,), namespace, self._destinations)
            case ServiceEntry():
                hosts = self._destinations | self._hosts
                return self._overlaps(manifest.spec.hosts, namespace, hosts)
            case Gateway():
                return f"{namespace}/{manifest.name}" in self._gateways
        return manifest.kind in _PATCHES and namespace in self._namespaces

    @staticmethod
    def _overlaps(written: Iterable[str], namespace: str, hosts: set[str]) -> bool:
        full = [expand_host(each, namespace) for each in written]
        return any(overlap(one, other) for one in full for other in hosts)
