"""Weights in an HTTPRoute or GRPCRoute: at Gateways, waypoints, or in the mesh. Pure.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.gateway_api.references import GATEWAY_API_GROUP
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .json_patch import Json

_SERVICE: Final = {"group": "", "kind": "Service"}
_PATH: Final = {"type": "PathPrefix", "value": "/"}
#: What the API server fills in, by the field that an object, or a list of objects, is in.
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "parentRefs": {"group": GATEWAY_API_GROUP, "kind": "Gateway"},
    "backendRefs": {**_SERVICE, "weight": 1},
    "backendRef": _SERVICE,
    "path": _PATH,
    "method": {"type": "Exact"},
    "queryParams": {"type": "Exact"},
    "requestRedirect": {"statusCode": 302},
    "fraction": {"denominator": 100},
}


@dataclass(frozen=True, slots=True)
class GatewayApiRoutes:
    """Rules are found by their names, those without one by what they match."""

    kind: str
    plural: str
    group = GATEWAY_API_GROUP
    rules = "rules"
    destinations = "backendRefs"
    target = "name"

    def normal(self, document: Json) -> Json:
        spec: dict[str, Any] = _filled(mapping_or_empty(document.get("spec")), "spec")
        for rule in list_or_empty(spec.get("rules")):
            if self.kind == "HTTPRoute":
                rule.setdefault("matches", [{}])
                for match in list_or_empty(rule["matches"]):
                    match.setdefault("path", dict(_PATH))
            for match in list_or_empty(rule.get("matches")):
                for header in list_or_empty(match.get("headers")):
                    header.setdefault("type", "Exact")
        return {**document, "spec": spec}

    def key(self, rule: Json) -> str | None:
        return str(rule.get("name") or json.dumps(rule.get("matches", []), sort_keys=True))

    def weights(self, destinations: Sequence[Json]) -> list[Any]:
        return [each.get("weight", 1) for each in destinations]

    def observed_generation(self, live: Json) -> int | None:
        """Return the lowest of the parents'; a parent counts by its most recent controller."""
        seen: dict[str, int] = {}
        for parent, observed in _accepted(live):
            seen[parent] = max(observed, seen.get(parent, 0))
        return min(seen.values(), default=None)


HTTP_ROUTE: Final = GatewayApiRoutes("HTTPRoute", "httproutes")
GRPC_ROUTE: Final = GatewayApiRoutes("GRPCRoute", "grpcroutes")


def _filled(value: Any, field: str) -> Any:
    """Return a copy of the value of a field, with the defaults in it."""
    if isinstance(value, list):
        return [_filled(each, field) for each in value]
    if isinstance(value, dict):
        written = {name: _filled(each, name) for name, each in value.items()}
        return {**_DEFAULTS.get(field, {}), **written}
    return value


def _accepted(live: Json) -> Iterator[tuple[str, int]]:
    """Yield each parent and the generation at which a controller accepted or refused the route."""
    for entry in list_or_empty(mapping_or_empty(live.get("status")).get("parents")):
        parent = json.dumps(mapping_or_empty(entry).get("parentRef"), sort_keys=True)
        for condition in list_or_empty(mapping_or_empty(entry).get("conditions")):
            observed = mapping_or_empty(condition).get("observedGeneration")
            if condition.get("type") == "Accepted" and isinstance(observed, int):
                yield parent, observed
