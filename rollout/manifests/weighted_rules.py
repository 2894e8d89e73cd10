"""The rules of any kind of routes with their destinations: where the weights of a rollout live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .gateway_api.routes import ApiRoute, GRPCRoute, GrpcRouteRule, HTTPRoute, HttpRouteRule
from .hosts import ServiceName
from .virtual_service import VirtualService

#: What a rollout changes.
Routes = VirtualService | HTTPRoute | GRPCRoute


class WeightedHost(NamedTuple):
    """A destination; a short host belongs to the namespace of the routes."""

    host: str
    subset: str | None
    weight: int


@dataclass(frozen=True, slots=True)
class WeightedRule:
    """``key`` finds the rule among those of another step, None if nothing does.

    ``path`` is that of its destinations.
    """

    name: str
    key: str | None
    path: str
    destinations: tuple[WeightedHost, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Return each destination's part of the requests; of a single one, it is everything."""
        weights = [each.weight for each in self.destinations] if len(self.destinations) > 1 else [1]
        return tuple(each / (sum(weights) or 1) for each in weights[: len(self.destinations)])


def weighted_rules(routes: Routes) -> Iterator[WeightedRule]:
    """Yield the rules in their order.

    A rule's key is its name. A rule of the Gateway API that has none is known by what it matches,
    never by its place, which changes when a step adds a rule before it.
    """
    if isinstance(routes, VirtualService):
        for index, route in enumerate(routes.spec.http):
            yield WeightedRule(
                route.name or f"rule {index}",
                route.name,
                routes.spec.json_path("http", index, "route"),
                tuple(
                    WeightedHost(each.destination.host, each.destination.subset, each.weight)
                    for each in route.route
                ),
            )
        return
    for index, rule in enumerate(rules_of(routes)):
        yield WeightedRule(
            rule.name or f"rule {index}",
            rule.name or repr([each.model_dump() for each in rule.matches]),
            routes.spec.json_path("rules", index, "backendRefs"),
            tuple(
                WeightedHost(
                    ServiceName(each.namespace or routes.namespace, each.name).host,
                    None,
                    each.weight,
                )
                for each in rule.backend_refs
            ),
        )


def rules_of(routes: ApiRoute) -> tuple[HttpRouteRule | GrpcRouteRule, ...]:
    """Return the rules of a route of the Gateway API."""
    rules: tuple[HttpRouteRule | GrpcRouteRule, ...] = routes.spec.rules
    return rules
