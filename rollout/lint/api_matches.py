"""The requests that rules of HTTPRoutes and GRPCRoutes claim, in a form that compares. Pure.

Defaults: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPRouteMatch, GRPCRouteMatch)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from .gateway_api import ApiRoute, Reference
from .resource import Resource

_MATCHED_KINDS: Final = frozenset({"HTTPRoute", "GRPCRoute"})

#: The kind of route, the parent, the host, and the match.
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A match of a rule, for one host at one parent; ``path`` is the match, or the whole rule."""

    resource: Resource
    path: str
    parent: Reference
    host: str
    key: Key

    def meets(self, other: Claim) -> bool:
        """Return True if both surely are at one listener, or one port, of their parent."""
        if self.resource is other.resource:
            if self.path == other.path:  # two parents, or two times the same host
                return False
        elif self.resource.id == other.resource.id:  # another version of one object
            return False
        own, its = (
            (self.parent.section, self.parent.port),
            (other.parent.section, other.parent.port),
        )
        return own == its or (None, None) in (own, its)


def claims_of(route: ApiRoute) -> Iterator[Claim]:
    """Yield what the route claims at each parent, in the order of its rules."""
    if route.resource.kind not in _MATCHED_KINDS:
        return
    for parent in route.parents:
        place = [parent.group, parent.kind, parent.namespace, parent.name]
        if parent.is_service:
            # A route of the callers' namespace is for callers there, before that of the Service.
            place.append(route.resource.namespace)
        # In the mesh, the Service is the host.
        for host in ("",) if parent.is_service else (route.hostnames or ("",)):
            for path, match in _matches(route.resource):
                key = (route.resource.kind, *place, host.lower(), match)
                yield Claim(route.resource, path, parent, host, key)


def _matches(route: Resource) -> Iterator[tuple[str, str]]:
    """Yield each match with its JSON path; equal ones have equal texts."""
    for at, rule in enumerate(list_or_empty(route.spec.get("rules"))):
        path = f"spec.rules[{at}]"
        matches = list_or_empty(mapping_or_empty(rule).get("matches"))
        if not matches:
            yield path, _canonical(route.kind, {})
        for index, match in enumerate(matches):
            yield f"{path}.matches[{index}]", _canonical(route.kind, mapping_or_empty(match))


def _canonical(kind: str, match: Mapping[str, Any]) -> str:
    conditions = {
        "headers": _conditions(match.get("headers"), is_header=True),
        "queryParams": _conditions(match.get("queryParams"), is_header=False),
    }
    if kind == "GRPCRoute":
        method = {"type": "Exact", **mapping_or_empty(match.get("method"))}
        return str(([method.get(each) for each in ("type", "service", "method")], conditions))
    written = mapping_or_empty(match.get("path"))
    form, path = text_or_none(written.get("type")) or "PathPrefix", str(written.get("value", "/"))
    if form == "PathPrefix":  # it matches whole segments, with or without a slash at its end
        path = path.rstrip("/")
    return str((form, path, match.get("method"), conditions))


def _conditions(written: Any, *, is_header: bool) -> list[tuple[str, str, str]]:
    """Return the conditions in order. Of those with one name, the first counts."""
    found: dict[str, tuple[str, str, str]] = {}
    for each in map(mapping_or_empty, list_or_empty(written)):
        name = str(each.get("name"))
        name = name.lower() if is_header else name
        form = text_or_none(each.get("type")) or "Exact"
        found.setdefault(name, (name, form, str(each.get("value"))))
    return sorted(found.values())
