"""Weights in a VirtualService: among subsets or Services, at gateways or in the mesh. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..manifests.untyped import mapping_or_empty
from .json_patch import Json


class VirtualServiceRoutes:
    """Rules are found by their names. Istio fills in nothing, and 0 is the default weight."""

    kind = "VirtualService"
    group = "networking.istio.io"
    plural = "virtualservices"
    rules = "http"
    destinations = "route"
    target = "destination"

    def normal(self, document: Json) -> Json:
        return document

    def key(self, rule: Json) -> str | None:
        name = rule.get("name")
        return name if isinstance(name, str) and name else None

    def weights(self, destinations: Sequence[Json]) -> list[Any]:
        """Return the weights; a single destination gets all requests, whatever its weight."""
        if len(destinations) == 1:
            return [100]
        return [each.get("weight", 0) for each in destinations]

    def observed_generation(self, live: Json) -> int | None:
        """Return what istiod reports, if it is configured to."""
        observed = mapping_or_empty(live.get("status")).get("observedGeneration")
        # An integer, or a string: protobuf's JSON writes 64-bit integers as strings.
        return int(str(observed)) if str(observed).isdecimal() else None
