"""Which requests reach each route of a VirtualService, past the routes above it. Pure.

The analysis is conservative: it may report a request that never arrives, but it never misses one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.string_match import Exact, Prefix, Present, Regex, ValueMatch
from ..manifests.virtual_service import VirtualService

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Stands for all methods that METHODS does not name.
OTHER: Final = "another method"
METHODS: Final = WRITES | {"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", OTHER}

_ANY_STRING: Final = frozenset({".*", "^.*$", "(.*)", ".+"})
_ANY_PATH: Final = (None, Prefix(""), Prefix("/"), Regex("/.*"), Regex("^/.*$"), Regex("/(.*)"))
_METHOD_LIST: Final = re.compile(r"\^?\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$?")
_DELEGATED: Final = ""
_EVERY_REQUEST: Final = HttpMatch()


@dataclass(frozen=True, slots=True)
class ReachableMatch:
    """The methods of the requests that reach a route by one of its matches.

    ``match`` is None for a route without matches.
    """

    match: HttpMatch | None
    methods: frozenset[str]

    @property
    def writes(self) -> frozenset[str]:
        return self.methods & WRITES


@dataclass(frozen=True, slots=True)
class ReachableRoute:
    """A route, and what reaches it by each of its matches."""

    route: HttpRoute
    matches: tuple[ReachableMatch, ...]

    @property
    def writes(self) -> frozenset[str]:
        """Return the methods of the writes that can reach the route."""
        return frozenset().union(*(each.writes for each in self.matches))


def reachable_routes(service: VirtualService) -> Iterator[ReachableRoute]:
    """Yield the routes in their order with the requests that reach each of them."""
    above: list[tuple[HttpMatch, frozenset[str]]] = []
    for route in service.spec.http:
        matches = []
        for match in route.match or (_EVERY_REQUEST,):
            gateways = gateways_of(match, service)
            methods = (_remaining_methods(match, gateway, above) for gateway in gateways)
            matches.append(
                ReachableMatch(match if route.match else None, frozenset().union(*methods))
            )
            # Of two equal matches in one route, Envoy uses the first, so it counts as above.
            above.append((match, gateways))
        yield ReachableRoute(route, tuple(matches))


def unmatched_methods(
    service: VirtualService, gateway: str, port: int | None = None
) -> frozenset[str]:
    """Return the methods of which some request at the gateway matches no route.

    Without ``port`` the request may come to any port.
    """
    every = [
        (match, gateways_of(match, service))
        for route in service.spec.http
        for match in route.match or (_EVERY_REQUEST,)
    ]
    return _remaining_methods(HttpMatch(port=port), gateway, every)


def gateways_of(match: HttpMatch, service: VirtualService) -> frozenset[str]:
    """Return the gateways that a match applies to; ``mesh`` may be one of them."""
    if match.gateways:
        return frozenset(service.qualify(each) for each in match.gateways)
    # What a delegate is included in isn't known: it counts as one gateway.
    return frozenset(service.gateways or (_DELEGATED,))


def methods_of(match: HttpMatch) -> frozenset[str]:
    """Return all methods that the match may accept."""
    method = match.method
    if _accepts_any_method(match):
        return METHODS
    if isinstance(method, Exact):
        return frozenset({method.value if method.value in METHODS else OTHER})
    named = frozenset(each for each in METHODS if method is not None and method.matches(each))
    listed = _METHOD_LIST.fullmatch(method.pattern) if isinstance(method, Regex) else None
    accepts_others = listed is None or not METHODS.issuperset(listed[1].split("|"))
    return named | {OTHER} if accepts_others else named - {OTHER}


def _accepts_any_method(match: HttpMatch) -> bool:
    method = match.method
    return method is None or (isinstance(method, Regex) and method.pattern in _ANY_STRING)


def _remaining_methods(
    match: HttpMatch, gateway: str, above: Sequence[tuple[HttpMatch, frozenset[str]]]
) -> frozenset[str]:
    methods = methods_of(match)
    for earlier, gateways in above:
        if gateway in gateways and _covers(earlier, match):
            taken = methods_of(earlier)
            # OTHER stands for many methods, so only a match of any method takes all of them.
            methods -= taken if _accepts_any_method(earlier) else taken - {OTHER}
    return methods


def _covers(earlier: HttpMatch, later: HttpMatch) -> bool:
    """Return True if ``earlier`` matches every request that ``later`` does, methods aside."""
    return (
        _covers_path(earlier, later)
        and _selects_callers_of(earlier, later)
        and _implies(later.authority, earlier.authority)
        and _implies(later.scheme, earlier.scheme)
        and earlier.port in {None, later.port}
        and all(
            name in later.headers and _implies(later.headers[name], match)
            for name, match in earlier.headers.items()
        )
        and all(
            name in later.query_params and _implies(later.query_params[name], match)
            for name, match in earlier.query_params.items()
        )
        and all(
            later.without_headers.get(name) == match
            for name, match in earlier.without_headers.items()
        )
    )


def _selects_callers_of(earlier: HttpMatch, later: HttpMatch) -> bool:
    """Return True if ``earlier`` applies to every caller that ``later`` does."""
    return (
        earlier.source_labels.items() <= later.source_labels.items()
        and earlier.source_namespace in {None, later.source_namespace}
    )


def _covers_path(earlier: HttpMatch, later: HttpMatch) -> bool:
    if earlier.uri in _ANY_PATH:
        return True
    if earlier.ignore_uri_case:
        return _implies(_lowercase(later.uri), _lowercase(earlier.uri))
    return not later.ignore_uri_case and _implies(later.uri, earlier.uri)


def _lowercase(match: ValueMatch | None) -> ValueMatch | None:
    match match:
        case Exact(value):
            return Exact(value.lower())
        case Prefix(value):
            return Prefix(value.lower())
    return match


def _implies(narrower: ValueMatch | None, wider: ValueMatch | None) -> bool:
    """Return True if ``wider`` matches every string that ``narrower`` does; None matches all."""
    match wider, narrower:
        case None, _:
            return True
        case _, None:
            return isinstance(wider, Regex) and wider.pattern in _ANY_STRING
        case Present(), _:
            return True
        case Regex(pattern), _ if pattern in _ANY_STRING:
            return True
        case _, Exact(value):
            return wider.matches(value)
        case Prefix(short), Prefix(long):
            return long.startswith(short)
    return wider == narrower
