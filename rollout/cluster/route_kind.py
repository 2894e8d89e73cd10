"""What a rollout must know of a kind of routes to change its weights: a port. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .json_patch import Json


class RouteKind(Protocol):
    """A kind whose objects have rules, whose rules have destinations, which have weights."""

    @property
    def kind(self) -> str:
        """Return the kind, such as VirtualService."""

    @property
    def group(self) -> str:
        """Return the API group."""

    @property
    def plural(self) -> str:
        """Return the kind's name in the API's paths."""

    @property
    def rules(self) -> str:
        """Return the field of ``spec`` that has the rules."""

    @property
    def destinations(self) -> str:
        """Return the field of a rule that has its destinations."""

    @property
    def target(self) -> str:
        """Return the field of a destination that says where it leads."""

    def normal(self, document: Json) -> Json:
        """Return an object with the fields that the API server fills in, in the plan as there."""

    def key(self, rule: Json) -> str | None:
        """Return what identifies a normal rule in its object, None if nothing does."""

    def weights(self, destinations: Sequence[Json]) -> list[Any]:
        """Return the effective weight of each destination of one rule."""

    def observed_generation(self, live: Json) -> int | None:
        """Return the generation that all proxies' control planes have seen, None if unreported."""
