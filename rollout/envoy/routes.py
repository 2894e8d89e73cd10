"""A VirtualService's rules as Envoy's routes: one for each match, in the order written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.virtual_service import VirtualService
from . import cors, faults
from .answers import direct_response, redirect_action
from .configuration import Resource
from .forwarding import Forwarding
from .headers import header_changes
from .matches import is_catch_all, route_match
from .registry import Registry


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where requests come in: a Gateway as ``namespace/name`` or ``mesh``, at a port."""

    gateway: str
    port: int
    tls: bool = False


def routes(service: VirtualService, entrance: Entrance, registry: Registry) -> tuple[Resource, ...]:
    """Return the routes for one entrance; istiod sends none behind the first catch-all."""
    made = []
    for route, match in _matched(service, entrance):
        made.append(_route(route, match, service, entrance, registry))
        if is_catch_all(made[-1]["match"]):
            break
    return tuple(made)


def catch_alls_last(routes: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return the routes of several VirtualServices, merged as istiod does at a Gateway."""
    return tuple(sorted(routes, key=lambda route: is_catch_all(route["match"])))


def _matched(
    service: VirtualService, entrance: Entrance
) -> Iterator[tuple[HttpRoute, HttpMatch | None]]:
    for route in service.spec.http:
        if not route.match:
            yield route, None
        for match in route.match:
            gateways = [service.qualify(each) for each in match.gateways]
            here = not gateways or entrance.gateway in gateways
            if here and match.port in {None, entrance.port}:
                yield route, match


def _route(
    route: HttpRoute,
    match: HttpMatch | None,
    service: VirtualService,
    entrance: Entrance,
    registry: Registry,
) -> dict[str, Any]:
    name = _name(route, match)
    filters = {
        **({faults.FILTER: faults.fault_filter(route.fault)} if route.fault else {}),
        **({cors.FILTER: cors.cors_filter(route.cors_policy)} if route.cors_policy else {}),
    }
    return {
        **({"name": name} if name else {}),
        "match": route_match(match),
        **_action(route, service, entrance, registry),
        **({"typed_per_filter_config": filters} if filters else {}),
    }


def _name(route: HttpRoute, match: HttpMatch | None) -> str:
    name = route.name or ""
    return f"{name}.{match.name}" if match and match.name else name


def _action(
    route: HttpRoute, service: VirtualService, entrance: Entrance, registry: Registry
) -> dict[str, Any]:
    changed = header_changes(route.headers).fields
    if route.redirect:
        redirect = redirect_action(route.redirect, entrance.port, tls=entrance.tls)
        return {"redirect": redirect, **changed}
    if route.direct_response:
        return {"direct_response": direct_response(route.direct_response), **changed}
    return Forwarding(registry, service.namespace, entrance.port).fields(route)
