"""Envoy's route configurations: virtual hosts, and the routes of a VirtualService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.semantics import has_gateway_semantics
from ..manifests.virtual_service import VirtualService
from .configuration import Resource
from .direct_response import direct_response, redirect_action
from .header_mutations import header_mutations
from .http_filters import per_route_config
from .protobuf_json import ROUTE_CONFIGURATION, typed
from .proxy import Proxy
from .route_action import RouteActions
from .route_match import is_catch_all, route_match

#: 1 MiB, the limit of Istio's webhook. Envoy's default is 4 KiB.
_MAX_DIRECT_RESPONSE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatewayPort:
    """A port where requests enter; ``gateway`` is a Gateway's ``namespace/name``, or ``mesh``."""

    gateway: str
    port: int
    tls: bool = False


def route_configuration(name: str, hosts: Iterable[Resource], *, any_port: bool) -> dict[str, Any]:
    """Return a route configuration; with ``any_port``, the port in the Host header is ignored.

    A route may name a cluster that does not exist. Its requests fail with flag NC, as in the mesh.
    """
    found = sorted(hosts, key=lambda each: str(each["name"]))
    return typed(
        ROUTE_CONFIGURATION,
        name=name,
        virtual_hosts=found or [virtual_host("blackhole", ["*"], [])],
        validate_clusters=False,
        max_direct_response_body_size_bytes=_MAX_DIRECT_RESPONSE_BYTES,
        **({"ignore_port_in_host_matching": True} if any_port else {}),
    )


def virtual_host(
    name: str, domains: Iterable[str], routes: Iterable[Resource], *, require_tls: bool = False
) -> dict[str, Any]:
    """Return a virtual host; with ``require_tls``, Envoy redirects plaintext requests to https."""
    return {
        "name": name,
        "domains": list(domains),
        "routes": list(routes),
        "include_request_attempt_count": True,
        **({"require_tls": "ALL"} if require_tls else {}),
    }


def routes(
    service: VirtualService, gateway_port: GatewayPort, actions: RouteActions, proxy: Proxy
) -> tuple[Resource, ...]:
    """Return the routes for one port, one for each match; like istiod, end at a catch-all."""
    found = []
    by_segments = has_gateway_semantics(service)
    for route, match in _matches(service, gateway_port, proxy):
        matched = route_match(match, by_segments=by_segments)
        found.append(_route(route, match, matched, gateway_port, actions))
        if is_catch_all(found[-1]["match"]):
            break
    return tuple(found)


def catch_alls_last(routes: Iterable[Resource]) -> tuple[Resource, ...]:
    """Sort the routes of several VirtualServices as istiod merges them at a Gateway."""
    return tuple(sorted(routes, key=lambda route: is_catch_all(route["match"])))


def _matches(
    service: VirtualService, gateway_port: GatewayPort, proxy: Proxy
) -> Iterator[tuple[HttpRoute, HttpMatch | None]]:
    """Yield the routes with each of their matches that applies to this port and caller."""
    for route in service.spec.http:
        if not route.match:
            yield route, None
        for match in route.match:
            if match.port in {None, gateway_port.port} and _applies(
                match, [service.qualify(each) for each in match.gateways], gateway_port, proxy
            ):
                yield route, match


def _applies(
    match: HttpMatch, gateways: Sequence[str], gateway_port: GatewayPort, proxy: Proxy
) -> bool:
    if gateways:
        # As in istiod: a match that names gateways does not look at the caller.
        return gateway_port.gateway in gateways
    return proxy.has_labels(match.source_labels) and match.source_namespace in {
        None,
        "",
        proxy.namespace,
    }


def _route(
    route: HttpRoute,
    match: HttpMatch | None,
    matched: Resource,
    gateway_port: GatewayPort,
    actions: RouteActions,
) -> dict[str, Any]:
    name = _name(route, match)
    filters = per_route_config(route)
    return {
        **({"name": name} if name else {}),
        "match": matched,
        **_action(route, matched, gateway_port, actions),
        **({"typed_per_filter_config": filters} if filters else {}),
    }


def _name(route: HttpRoute, match: HttpMatch | None) -> str:
    name = route.name or ""
    return f"{name}.{match.name}" if match and match.name else name


def _action(
    route: HttpRoute, matched: Resource, gateway_port: GatewayPort, actions: RouteActions
) -> dict[str, Any]:
    mutations = header_mutations(route.headers).fields
    if route.redirect:
        redirect = redirect_action(route.redirect, gateway_port.port, tls=gateway_port.tls)
        return {**({"redirect": redirect} if redirect else {}), **mutations}
    if route.direct_response:
        return {"direct_response": direct_response(route.direct_response), **mutations}
    return actions.fields(route, matched)
