"""The kinds of routes whose weights a rollout changes, and their classes in the API client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lightkube.generic_resource import create_namespaced_resource

from .api_client import Kind
from .gateway_api_routes import GRPC_ROUTE, HTTP_ROUTE
from .route_kind import RouteKind
from .virtual_service_routes import VirtualServiceRoutes

ROUTE_KINDS: Final[Mapping[str, RouteKind]] = {
    each.kind: each for each in (VirtualServiceRoutes(), HTTP_ROUTE, GRPC_ROUTE)
}


def resource_of(routes: RouteKind, version: str) -> Kind:
    """Return the client's class for a kind of routes, in a version of its API."""
    kind: Kind = create_namespaced_resource(routes.group, version, routes.kind, routes.plural)
    return kind
