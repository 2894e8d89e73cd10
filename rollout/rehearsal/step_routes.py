"""The routes of a plan's steps among the applied objects: any kind that has weights. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from ..envoy.configuration import Objects
from ..envoy.gateway_api import with_gateway_api
from ..manifests.gateway_api.routes import ApiRoute
from ..manifests.semantics import made_of
from ..manifests.virtual_service import VirtualService
from ..manifests.weighted_rules import Routes
from ..plan.model import Step

Kind = TypeVar("Kind", VirtualService, ApiRoute)


def is_same(one: Routes, other: Routes) -> bool:
    """Return True for two versions of one object."""
    return (one.kind, one.namespace, one.name) == (other.kind, other.namespace, other.name)


def applied_routes(objects: Objects) -> tuple[Routes, ...]:
    """Return all routes that are applied."""
    return (*objects.virtual_services, *objects.gateway_api.routes)


def with_routes(objects: Objects, routes: Routes) -> Objects:
    """Return the objects with these routes added, or replacing those of the same name."""
    if isinstance(routes, VirtualService):
        return replace(objects, virtual_services=_replaced(objects.virtual_services, routes))
    api = objects.gateway_api
    changed = replace(api, routes=_replaced(api.routes, routes))
    return replace(objects, gateway_api=changed)


def with_step(objects: Objects, step: Step) -> Objects:
    """Return the objects with all routes of a step."""
    for each in step.all_routes:
        objects = with_routes(objects, each)
    return objects


def _replaced(known: tuple[Kind, ...], new: Kind) -> tuple[Kind, ...]:
    replaced = tuple(new if is_same(each, new) else each for each in known)
    added = () if any(is_same(each, new) for each in known) else (new,)
    return replaced + added


def with_first_step(objects: Objects, first: Step) -> Objects:
    """Return the objects with the first step's routes, unless they have some of their name."""
    for routes in first.all_routes:
        if not any(is_same(each, routes) for each in applied_routes(objects)):
            objects = with_routes(objects, routes)
    return objects


def istio_routes_of(objects: Objects, routes: Routes) -> tuple[VirtualService, ...]:
    """Return the VirtualServices that istiod has for routes: itself, or those it makes of them."""
    if isinstance(routes, VirtualService):
        return (routes,)
    made = with_gateway_api(with_routes(objects, routes)).virtual_services
    return tuple(each for each in made if made_of(each, routes.kind, routes.namespace, routes.name))


def reached_routes(objects: Objects, steps: Iterable[Step]) -> tuple[VirtualService, ...]:
    """Return the VirtualServices that istiod has at any of the steps."""
    return tuple(
        each
        for step in steps
        for each in with_gateway_api(with_step(objects, step)).virtual_services
    )
